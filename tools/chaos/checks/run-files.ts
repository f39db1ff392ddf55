import type { Effect, Fact, FinalState } from '../history';
import type { EffectLine } from '../ledger';

/** Everything a run left behind, and all that a check may look at. */
export interface RunFiles {
  readonly facts: readonly Fact[];
  readonly effects: readonly EffectLine[];
  readonly final: FinalState;
}

export interface Violation {
  /** The guarantee, e.g. `G1`. */
  readonly guarantee: string;
  readonly message: string;
  /** When it showed, in ms since the epoch, for the timeline. */
  readonly at?: number;
}

/** What a check found and how much it looked at: a figure is `violations / checked`. */
export interface Finding {
  readonly guarantee: string;
  readonly checked: number;
  readonly violations: readonly Violation[];
  /** Figures worth showing, such as a percentile. */
  readonly notes?: Readonly<Record<string, number | string>>;
}

export type FactOf<K extends Fact['kind']> = Extract<Fact, { kind: K }>;

export function factsOf<K extends Fact['kind']>(files: RunFiles, kind: K): FactOf<K>[] {
  return files.facts.filter((fact): fact is FactOf<K> => fact.kind === kind);
}

export function runOf(files: RunFiles): FactOf<'run'> {
  const [run] = factsOf(files, 'run');
  if (!run) throw new Error('the history does not begin with what was run');
  return run;
}

export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** Collects what is wrong under one guarantee. */
export class Findings {
  readonly violations: Violation[] = [];
  checked = 0;

  constructor(private readonly guarantee: string) {}

  expect(holds: boolean, message: () => string, at?: number): void {
    this.checked += 1;
    if (holds) return;
    this.violations.push({ guarantee: this.guarantee, message: message(), ...(at === undefined ? {} : { at }) });
  }

  done(notes?: Finding['notes']): Finding {
    const { guarantee, checked, violations } = this;
    return { guarantee, checked, violations, ...(notes ? { notes } : {}) };
  }
}

/** A client's request with all the times it was sent and all it was answered. */
export interface Op {
  readonly name: string;
  readonly conversation: string;
  readonly steps: readonly Effect[];
  readonly sends: readonly FactOf<'send'>[];
  readonly answers: readonly FactOf<'answer'>[];
}

export function opsOf(files: RunFiles): Map<string, Op> {
  const answers = groupBy(factsOf(files, 'answer'), ({ op }) => op);
  const ops = new Map<string, Op>();
  for (const [name, sends] of groupBy(factsOf(files, 'send'), ({ op }) => op)) {
    const [first] = sends;
    if (!first) continue;
    const { conversation, steps } = first;
    ops.set(name, { name, conversation, steps, sends, answers: answers.get(name) ?? [] });
  }
  return ops;
}

/** The largest of the lowest `share` of the values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Faults as intervals; one that was not ended lasts to the end. */
export function faultsOf(files: RunFiles): { name: string; target: string; beginAt: number; endAt: number }[] {
  const facts = factsOf(files, 'fault');
  const ends = new Map(facts.filter(({ state }) => state === 'end').map(({ id, at }) => [id, at]));
  return facts
    .filter(({ state }) => state === 'begin')
    .map(({ id, name, target, at }) => ({ name, target, beginAt: at, endAt: ends.get(id) ?? Infinity }));
}
