import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dropLeftOvers } from '../test-services/databases';
import { buildApps, bundleContender, installPeers } from './bundle';
import { renderChart } from './chart';
import { measuringNode } from './contenders';
import { describeMachine, machineLine } from './machine';
import { parseOptions, USAGE, UsageError, type BenchOptions } from './options';
import { select, type Case } from './plan';
import { publish } from './publish';
import type { BenchResults, CaseResult } from './results';
import { runPlan } from './run-plan';
import { renderTables } from './table';
import { findServers } from './servers';

/** A newcomer was promised three minutes; what has begun by then may take a while longer. */
const QUICK_BUDGET_MS = 150_000;

const PAGE = join(__dirname, '..', '..', 'docs', 'benchmarks.md');

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function bench(options: BenchOptions): Promise<void> {
  const startedAt = new Date();
  const cases = select(options);
  const servers = await findServers();
  try {
    await dropLeftOvers(servers.postgres); // of runs that were ended early
    const described = await describeMachine(servers);
    install(cases);
    const node = measuringNode();
    const machine = { ...described, node: node.version };
    log(machineLine(machine));
    bundleContender();
    const apps = [...new Set(cases.flatMap(appsOf))];
    if (apps.length > 0) buildApps(apps);
    const resultsOf = (measured: readonly CaseResult[]): BenchResults => ({
      startedAt: startedAt.toISOString(),
      seconds: Math.round((Date.now() - startedAt.getTime()) / 1_000),
      quick: options.quick,
      machine,
      cases: measured,
    });
    const measured = await runPlan(cases, {
      rounds: options.rounds,
      servers,
      execPath: node.execPath,
      onProgress: log,
      onCase: (soFar) => write(options.out, resultsOf(soFar)),
      budgetMs: options.quick ? QUICK_BUDGET_MS : Infinity,
    });
    const results = resultsOf(measured);
    if (options.publish) publish(PAGE, results);
    process.stdout.write(
      `\n${renderTables(results)}\n${machineLine(machine)}\n${results.seconds} s; written to ${options.out}\n`,
    );
  } finally {
    await servers.stop();
  }
}

/** Without a registry ours can still be measured, on the Node there is. */
function install(cases: readonly Case[]): void {
  try {
    installPeers();
  } catch (error) {
    if (cases.some(({ peers }) => peers.length > 0)) throw error;
    log((error as Error).message);
  }
}

/** The built apps that a case starts. */
function appsOf({ params: { app, apps = app } }: Case): string[] {
  return typeof apps === 'string' ? apps.split(',') : [];
}

function write(folder: string, results: BenchResults): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(folder, 'results.md'), renderTables(results));
  writeFileSync(join(folder, 'chart.svg'), renderChart(results));
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  try {
    await bench(parseOptions(argv));
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    log(`${error.message}\n\n${USAGE}`);
    return 2;
  }
}

// Ending at once would leave the contender's process behind; `exit` takes it along.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exit(1);
  },
);
