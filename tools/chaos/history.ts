import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';

export type Effect = 'read' | 'idempotent' | 'once';

/** What is written down while a run goes on, one JSON line each; `at` in ms since the epoch by the harness' clock. */
export type Fact = (
  | {
      readonly kind: 'run';
      readonly seed: number;
      readonly profile: string;
      readonly store: 'sqlite' | 'postgres';
      readonly backplane: string;
      readonly ttlMs: number;
      /** What the machine may add to a bound before it counts as missed. */
      readonly graceMs: number;
    }
  | { readonly kind: 'phase'; readonly name: 'load' | 'settle' | 'stop' }
  | {
      readonly kind: 'process';
      readonly slot: string;
      readonly instance: string;
      readonly roles: readonly string[];
      readonly pid: number;
      readonly state: 'started' | 'exited';
      readonly code?: number | null;
      readonly signal?: string | null;
    }
  | {
      readonly kind: 'fault';
      readonly id: number;
      readonly name: string;
      readonly target: string;
      readonly state: 'begin' | 'end';
      readonly detail?: string;
    }
  /** A COMMIT went out to Postgres and its answer was withheld. */
  | { readonly kind: 'commit_cut'; readonly slot: string }
  | {
      readonly kind: 'send';
      readonly request: number;
      readonly op: string;
      readonly key: string;
      /** `changed`: the same key with another payload. */
      readonly payload: 'original' | 'changed';
      readonly conversation: string;
      readonly steps: readonly Effect[];
    }
  /** `status` 0 = there was no answer. */
  | {
      readonly kind: 'answer';
      readonly request: number;
      readonly op: string;
      readonly status: number;
      readonly turn?: string;
      readonly replayed?: boolean;
      readonly text?: string;
    }
  | { readonly kind: 'resolve'; readonly turn: string; readonly decision: 'done' | 'retry' | 'fail' }
  | {
      readonly kind: 'schedule';
      readonly schedule: string;
      readonly conversation: string;
      readonly intervalMs: number;
      /** The first instant and the last that had to go off. */
      readonly firstAt: number;
      readonly untilAt: number;
    }
  | { readonly kind: 'event'; readonly subscriber: string; readonly event: string; readonly type: string }
  | { readonly kind: 'gap'; readonly subscriber: string }
  /** A conversation's lease as the database shows it; `dueAt` by the database's clock. */
  | {
      readonly kind: 'lease';
      readonly conversation: string;
      readonly owner: string;
      readonly token: number;
      readonly dueAt: number;
    }
  | { readonly kind: 'log'; readonly instance: string; readonly message: string; readonly detail?: string }
  /** What was still not at rest at the end, and what the processes left behind. */
  | { readonly kind: 'rest'; readonly problems: readonly string[] }
) & { readonly at: number };

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;
export type NewFact = WithoutTime<Fact>;

/** How the database looked after everything had come to rest. */
export interface FinalState {
  readonly turns: readonly FinalTurn[];
  /** In the order in which readers are given them. */
  readonly outbox: readonly FinalEvent[];
  readonly firings: readonly { readonly schedule: string; readonly instant: number; readonly turn: string }[];
  readonly takeovers: readonly FinalTakeover[];
  readonly integrity?: string;
}

export interface FinalTurn {
  readonly turn: string;
  /** The op its steps name; of a schedule, the schedule's conversation. */
  readonly op: string;
  readonly conversation: string;
  readonly trigger: string;
  readonly status: string;
  readonly error?: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly steps: readonly { readonly step: number; readonly effect: string; readonly status: string }[];
}

export interface FinalEvent {
  readonly event: string;
  readonly type: string;
  readonly conversation: string;
  readonly seq: number;
  readonly turn: string | null;
}

export interface FinalTakeover {
  readonly conversation: string;
  readonly token: number;
  readonly owner: string;
  readonly takenFrom: string;
  readonly at: number;
}

/** Appends facts to a file, each by one write. They are on disk after `sync`, and with the kernel at once. */
export class HistoryWriter {
  private readonly file: number;
  /** How many facts of each kind there are, for the progress line. */
  readonly counts = new Map<string, number>();

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  write(fact: NewFact, at = Date.now()): void {
    writeSync(this.file, `${JSON.stringify({ at, ...fact })}\n`);
    this.counts.set(fact.kind, (this.counts.get(fact.kind) ?? 0) + 1);
  }

  close(): void {
    fsyncSync(this.file);
    closeSync(this.file);
  }
}

/** The values of a file of JSON lines. A last line that a crash cut short was never acted on, and is left out. */
export function parseLines<T>(text: string): T[] {
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  const whole = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
  if (last === '') return whole;
  try {
    return [...whole, JSON.parse(last) as T];
  } catch {
    return whole;
  }
}
