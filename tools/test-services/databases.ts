import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';

/** A migrated database of one test. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Names of our databases begin so; those of test runs that are no more are dropped at the next run. */
export const DATABASE_PREFIX = 'tyrum_test_';

/** Clones the template that the run's setup has migrated. */
export async function createPostgresDatabase(): Promise<TestDatabase> {
  const server = required('TYRUM_TEST_POSTGRES_URL');
  const template = required('TYRUM_TEST_POSTGRES_TEMPLATE');
  const name = `${DATABASE_PREFIX}${process.pid}_${randomBytes(6).toString('hex')}`;
  await admin(server, async (client) => {
    // Postgres copies a template only while nobody is connected to it; clones of other tests wait for each other.
    await client.query('select pg_advisory_lock(7479)');
    await client.query(`create database ${name} template ${template}`);
    await client.query('select pg_advisory_unlock(7479)');
  });
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    drop: () => admin(server, (client) => client.query(`drop database if exists ${name} with (force)`)),
  };
}

/** A path for a SQLite file in a folder of its own. */
export function createSqlitePath(): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-sqlite-'));
  return { path: join(folder, 'tyrum.db'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The Redis of this run. */
export function redisUrl(): string {
  return required('TYRUM_TEST_REDIS_URL');
}

/** Runs `work` on a connection to the server's own database. */
export async function admin(server: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: integration tests run through jest's "int" project, whose setup sets it`);
  return value;
}
