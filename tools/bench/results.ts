import type { Case, Metric } from './plan';
import { summarize, type Summary } from './statistics';
import type { Machine } from './machine';

/** What every round of one contender measured, or why it could not. */
export interface ContenderResult {
  readonly contender: string;
  readonly rounds: readonly Readonly<Record<string, number>>[];
  readonly failure?: string;
}

export interface CaseResult {
  readonly case: Pick<Case, 'workload' | 'title' | 'kind' | 'database' | 'params' | 'metrics'>;
  readonly contenders: readonly ContenderResult[];
}

/** All of a run, as results.json holds it. */
export interface BenchResults {
  readonly startedAt: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly cases: readonly CaseResult[];
}

/** A metric's rounds taken together; undefined where the contender does not have it. */
export function summaryOf(result: ContenderResult, metric: string): Summary | undefined {
  const values = result.rounds.flatMap((round) => (round[metric] === undefined ? [] : [round[metric]]));
  return values.length > 0 ? summarize(values) : undefined;
}

export interface Verdict {
  readonly met: boolean;
  /** `met`, or how far it is: `49 % of it`, `2.9× it`, `3 too many`. */
  readonly text: string;
}

/** What a metric of a case is to reach; undefined where nothing is promised, or what it is compared with was not measured. */
export function targetOf(
  { name, target, targetOf: relative }: Metric,
  contenders: readonly ContenderResult[],
): number | undefined {
  if (!relative) return target;
  const other = contenders.find(({ contender }) => contender === relative.contender);
  const median = other && summaryOf(other, name)?.median;
  return median === undefined ? undefined : median * relative.times;
}

/** Whether a measurement reaches its target; undefined where there is none. */
export function verdict({ better }: Metric, target: number | undefined, value: number): Verdict | undefined {
  if (target === undefined) return undefined;
  const met = better === 'higher' ? value >= target : value <= target;
  if (met) return { met, text: 'met' };
  if (target === 0) return { met, text: `${formatNumber(value)} too many` };
  if (better === 'higher') return { met, text: `${Math.floor((value / target) * 100)} % of it` };
  return { met, text: `${(value / target).toFixed(1)}× it` };
}

/** Three significant digits, thousands with commas. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
