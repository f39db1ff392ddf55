import { databaseOf, moduleOf } from './contenders';
import { freshDatabase, type Servers } from './fresh-database';
import { paramsFor, type Case } from './plan';
import type { CaseResult, ContenderResult } from './results';
import { runContender } from './run-contender';

export interface RunOptions {
  readonly rounds: number;
  readonly servers: Servers;
  /** The Node that runs the contenders. */
  readonly execPath: string;
  readonly onProgress: (line: string) => void;
  /** Told of all results so far after every case: a long run that is ended early is not lost. */
  readonly onCase?: (results: readonly CaseResult[]) => void;
  /** What is not begun by then, in ms from the start, is left out and named in the report. */
  readonly budgetMs: number;
}

/**
 * Measures every case with every contender in turn, round by round: what slows the machine down for a while slows all of
 * them down. Who begins changes from round to round. A contender that fails is not asked again in that case.
 */
export async function runPlan(cases: readonly Case[], options: RunOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  const deadline = performance.now() + options.budgetMs;
  for (const each of cases) {
    results.push(await runCase(each, options, deadline));
    options.onCase?.(results);
  }
  return results;
}

interface State {
  readonly rounds: Record<string, number>[];
  failure?: string;
}

async function runCase(each: Case, options: RunOptions, deadline: number): Promise<CaseResult> {
  const names = ['tyrum', ...each.peers];
  const states = new Map<string, State>(names.map((name) => [name, { rounds: [] }]));
  const rounds = Math.min(each.rounds ?? Infinity, options.rounds);
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < names.length; i += 1) {
      const name = names[(i + round) % names.length] as string;
      const state = states.get(name) as State;
      if (state.failure) continue;
      if (performance.now() > deadline) {
        if (state.rounds.length === 0) state.failure = 'left out: the time was up';
        continue;
      }
      try {
        const measured = await measure(name, each, options);
        state.rounds.push(measured);
        options.onProgress(progressLine(each, name, round, measured));
      } catch (error) {
        state.failure = (error as Error).message;
        options.onProgress(`${each.workload} ${each.title} · ${name}: failed: ${state.failure}`);
      }
    }
  }
  const { workload, title, kind, database, params, metrics } = each;
  const contenders: ContenderResult[] = [...states].map(([contender, state]) => ({ contender, ...state }));
  return { case: { workload, title, kind, database, params, metrics }, contenders };
}

async function measure(name: string, each: Case, { servers, execPath }: RunOptions): Promise<Record<string, number>> {
  const database = await freshDatabase(databaseOf(name, each.database), servers);
  try {
    const { kind, address } = database;
    const assignment = { driver: each.driver, database: { kind, address }, params: paramsFor(each, name) };
    return await runContender(moduleOf(name), assignment, { execPath });
  } finally {
    await database.drop();
  }
}

function progressLine(each: Case, name: string, round: number, measured: Readonly<Record<string, number>>): string {
  const numbers = each.metrics.flatMap(({ name: metric, label, unit }) => {
    const value = measured[metric];
    return value === undefined ? [] : [`${label} ${Number(value.toPrecision(4))} ${unit}`.trim()];
  });
  return `${each.workload} ${each.title} · ${name} · round ${round + 1}: ${numbers.join(', ')}`;
}
