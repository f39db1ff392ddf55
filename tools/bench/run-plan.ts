import { databaseOf, moduleOf, nodeOf } from './contenders';
import { freshDatabase, type Servers } from './fresh-database';
import type { Case } from './plan';
import type { CaseResult, ContenderResult } from './results';
import { runContender } from './run-contender';

export interface RunOptions {
  readonly rounds: number;
  readonly servers: Servers;
  readonly onProgress: (line: string) => void;
}

/**
 * Measures every case with every contender in turn, round by round: what slows the machine down for a while slows all of
 * them down. Who begins changes from round to round. A contender that fails is not asked again in that case.
 */
export async function runPlan(cases: readonly Case[], options: RunOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const each of cases) {
    const names = ['tyrum', ...each.peers];
    const done = new Map<string, { rounds: Record<string, number>[]; failure?: string }>();
    for (const name of names) done.set(name, { rounds: [] });
    for (let round = 0; round < Math.min(each.rounds ?? Infinity, options.rounds); round += 1) {
      for (let i = 0; i < names.length; i += 1) {
        const name = names[(i + round) % names.length] as string;
        const state = done.get(name);
        if (!state || state.failure) continue;
        try {
          const measured = await measure(name, each, options.servers);
          state.rounds.push(measured);
          options.onProgress(progressLine(each, name, round, measured));
        } catch (error) {
          state.failure = (error as Error).message;
          options.onProgress(`${each.workload} ${each.title} · ${name}: failed: ${state.failure}`);
        }
      }
    }
    const { workload, title, kind, database, params, metrics } = each;
    const contenders: ContenderResult[] = [...done].map(([contender, state]) => ({ contender, ...state }));
    results.push({ case: { workload, title, kind, database, params, metrics }, contenders });
  }
  return results;
}

async function measure(name: string, each: Case, servers: Servers): Promise<Record<string, number>> {
  const database = await freshDatabase(databaseOf(name, each.database), servers);
  try {
    const { kind, address } = database;
    const assignment = { driver: each.driver, database: { kind, address }, params: each.params };
    return await runContender(moduleOf(name), assignment, { execPath: nodeOf(name, kind) });
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
