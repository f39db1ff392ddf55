import { parseArgs } from 'node:util';
import { WORKLOADS, type Selection } from './plan';

export interface BenchOptions extends Selection {
  readonly rounds: number;
  /** Folder for results.json, results.md and chart.svg. */
  readonly out: string;
  /** Whether the results go into docs/benchmarks.md. */
  readonly publish: boolean;
}

export const USAGE = `npm run bench -- [options]
  --quick           small runs, one round; ends in under 3 minutes
  --only W1,W3      only these of ${WORKLOADS.join(', ')}
  --ours            without the peers
  --rounds N        rounds a case (default 3, with --quick 1)
  --publish         writes the table into docs/benchmarks.md
  --out FOLDER      where results.json, results.md and chart.svg go (default dist/bench/results)
TYRUM_BENCH_POSTGRES_URL and TYRUM_BENCH_REDIS_URL name the servers (default: 127.0.0.1, ports 5432 and 6379).`;

const MAX_ROUNDS = 20;

/** A wrong command line. */
export class UsageError extends Error {
  readonly code = 'usage';
}

/** @throws {UsageError} which says what is wrong */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parse(argv);
  const quick = values.quick ?? false;
  const only = values.only?.split(',').map((name) => name.trim().toUpperCase());
  const unknown = only?.find((name) => !WORKLOADS.includes(name));
  if (unknown !== undefined) throw new UsageError(`--only: there is no workload "${unknown}"`);
  const rounds = Number(values.rounds ?? (quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MAX_ROUNDS) {
    throw new UsageError(`--rounds must be an integer from 1 to ${MAX_ROUNDS}`);
  }
  return {
    quick,
    only,
    ours: values.ours ?? false,
    rounds,
    out: values.out ?? 'dist/bench/results',
    publish: values.publish ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        ours: { type: 'boolean' },
        rounds: { type: 'string' },
        out: { type: 'string' },
        publish: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
