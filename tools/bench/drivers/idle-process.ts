import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { spawnApp } from '../../test-services/spawn-app';
import type { Driver } from './driver';

/** A connection that has gone idle hands in its counters after 10 s, and with them what the start cost. */
const SETTLE_MS = 12_000;
/** Postgres hands in its counters about once a second. */
const STATS_LAG_MS = 1_500;

/** In its first minute of rest V8 gives back what the start left behind; memory read sooner is that of the start. */
const REST_MS = 60_000;

/**
 * What a built app costs while nothing happens: transactions a second (a query outside one counts as one) and its memory.
 * Measured from a connection to another database, which counts there, once the server has no tables to look after any more.
 * A run that is too short for the memory leaves it out.
 */
export const idleProcess: Driver = async ({ database, number, text }) => {
  const home = mkdtempSync(join(tmpdir(), 'tyrum-bench-home-'));
  const url = new URL(database.address);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  const transactions = async (): Promise<number> => {
    const { rows } = await client.query<{ n: string }>(
      'select xact_commit + xact_rollback as n from pg_stat_database where datname = $1',
      [name],
    );
    return Number(rows[0]?.n);
  };
  const env = { TYRUM_DATABASE_URL: database.address, TYRUM_HOME: home };
  // As the images start it.
  const app = await spawnApp(text('app'), env, { sourceMaps: false });
  const restsFrom = performance.now();
  try {
    await pause(SETTLE_MS);
    await lookAfterTables(database.address);
    await pause(STATS_LAG_MS);
    const before = await transactions();
    const startedAt = performance.now();
    await pause(number('durationMs'));
    const seconds = (performance.now() - startedAt) / 1_000;
    const queries = (await transactions()) - before;
    const rested = performance.now() - restsFrom >= REST_MS;
    return { queries: queries / seconds, ...(rested ? { rss: residentMib(app.pid) } : {}) };
  } finally {
    await app.stop();
    await client.end();
    rmSync(home, { recursive: true, force: true });
  }
};

/** What autovacuum would do to new tables in the middle of the measurement. */
async function lookAfterTables(address: string): Promise<void> {
  const client = new Client({ connectionString: address });
  await client.connect();
  await client.query('vacuum analyze');
  await client.end();
}

function residentMib(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (!line) throw new Error('the system does not say how much memory the process has');
  return Number(line[1]) / 1_024;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
