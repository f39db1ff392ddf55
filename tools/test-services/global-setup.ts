import { migrateTemplate } from '../../libs/statestore/src/testing/migrate-template';
import { createDatabase, dropLeftOvers } from './databases';
import { answers, startOwnPostgres } from './own-postgres';
import { pings, startOwnRedis } from './own-redis';
import { started } from './started';

const LOCAL_POSTGRES = 'postgres://postgres@127.0.0.1:5432/postgres';

/** Finds or starts Postgres and Redis, and migrates the template that every test's database is cloned from. */
export default async function setUp(): Promise<void> {
  const server = (process.env['TYRUM_TEST_POSTGRES_URL'] ??= await findPostgres());
  process.env['TYRUM_TEST_REDIS_URL'] ??= await findRedis();
  await dropLeftOvers(server);
  // A template of this run's own: one kept from an earlier run could hold the migrations of then.
  const template = await createDatabase(server);
  started.push(() => template.drop());
  await migrateTemplate(template.url);
  process.env['TYRUM_TEST_POSTGRES_TEMPLATE'] = new URL(template.url).pathname.slice(1);
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
