import { migrateTemplate } from '../../libs/statestore/src/testing/migrate-template';
import { admin, DATABASE_PREFIX } from './databases';
import { answers, startOwnPostgres } from './own-postgres';
import { pings, startOwnRedis } from './own-redis';
import { started } from './started';

const LOCAL_POSTGRES = 'postgres://postgres@127.0.0.1:5432/postgres';

/** Finds or starts Postgres and Redis, and migrates the template that every test's database is cloned from. */
export default async function setUp(): Promise<void> {
  process.env['TYRUM_TEST_POSTGRES_URL'] ??= await findPostgres();
  process.env['TYRUM_TEST_REDIS_URL'] ??= await findRedis();
  const server = process.env['TYRUM_TEST_POSTGRES_URL'];
  const template = `${DATABASE_PREFIX}${process.pid}_template`;
  await admin(server, async (client) => {
    const { rows } = await client.query<{ datname: string }>(`select datname from pg_database where datname like '${DATABASE_PREFIX}%'`);
    for (const { datname } of rows.filter((row) => !isRunning(row.datname))) {
      await client.query(`drop database if exists ${datname} with (force)`);
    }
    await client.query(`create database ${template}`);
  });
  const url = new URL(server);
  url.pathname = `/${template}`;
  await migrateTemplate(url.toString());
  process.env['TYRUM_TEST_POSTGRES_TEMPLATE'] = template;
}

async function findPostgres(): Promise<string> {
  try {
    await answers(LOCAL_POSTGRES);
    return LOCAL_POSTGRES;
  } catch {
    // A throw-away server: what it must keep, the tests that crash it start for themselves.
    const own = await startOwnPostgres({ fsync: 'off' });
    started.push(() => own.stop());
    return own.url;
  }
}

async function findRedis(): Promise<string> {
  try {
    await pings(6379);
    return 'redis://127.0.0.1:6379';
  } catch {
    const own = await startOwnRedis();
    started.push(() => own.stop());
    return own.url;
  }
}

/** A database's name holds the process that made it. */
function isRunning(database: string): boolean {
  const pid = Number(database.slice(DATABASE_PREFIX.length).split('_')[0]);
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
