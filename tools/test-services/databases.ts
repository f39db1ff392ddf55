import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { eventually } from './eventually';
import { DATABASE_PREFIX, isLeftOver, nameDatabase } from './run-database';

/** A migrated database of one test. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Copies and drops of all runs on one server wait for each other: Postgres copies a database nobody else touches. */
const ADVISORY_LOCK = 7479;
const OBJECT_IN_USE = '55006';

/** Clones the template that the run's setup has migrated. */
export async function createPostgresDatabase(): Promise<TestDatabase> {
  const server = required('TYRUM_TEST_POSTGRES_URL');
  const template = required('TYRUM_TEST_POSTGRES_TEMPLATE');
  return createDatabase(server, `template ${template}`);
}

/** Creates an empty database, or what `from` says, under a name that says which process made it. */
export async function createDatabase(server: string, from = ''): Promise<TestDatabase> {
  const name = nameDatabase();
  // A session that has just left the template may still be counted: then the copy is refused and is tried again.
  let refused: unknown;
  await eventually(async () => {
    refused = undefined;
    await locked(server, (client) => client.query(`create database ${name} ${from}`)).catch((error: unknown) => {
      if ((error as { code?: string }).code === OBJECT_IN_USE) throw error;
      refused = error;
    });
  });
  if (refused) throw refused;
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.toString(), drop: () => dropDatabase(server, name) };
}

/** Drops the databases that ended processes of this machine have left on the server. */
export async function dropLeftOvers(server: string): Promise<void> {
  await locked(server, async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      `select datname from pg_database where datname like '${DATABASE_PREFIX}%'`,
    );
    for (const { datname } of rows.filter((row) => isLeftOver(row.datname))) {
      await client.query(`drop database if exists ${datname} with (force)`);
    }
  });
}

/** Drops a database and whoever is connected to it. */
export async function dropDatabase(server: string, name: string): Promise<void> {
  await connected(server, (client) => client.query(`drop database if exists ${name} with (force)`));
}

/** A path for a SQLite file in a folder of its own. */
export function createSqlitePath(): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-sqlite-'));
  return { path: join(folder, 'tyrum.db'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The Redis of this run. Others use it too: open what you test under a namespace of your own. */
export function redisUrl(): string {
  return required('TYRUM_TEST_REDIS_URL');
}

/** `work` on a connection to the server's own database, one run at a time. The lock goes with the session. */
function locked(server: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  return connected(server, async (client) => {
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    await work(client);
  });
}

async function connected(server: string, work: (client: Client) => Promise<unknown>): Promise<void> {
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
  if (!value)
    throw new Error(`${name} is not set: integration tests run through jest's "int" project, whose setup does`);
  return value;
}
