import { answers, startOwnPostgres } from '../test-services/own-postgres';
import { pings, startOwnRedis } from '../test-services/own-redis';
import type { Servers } from './fresh-database';

const LOCAL_POSTGRES = 'postgres://postgres@127.0.0.1:5432/postgres';
const LOCAL_REDIS_PORT = 6379;

/** The servers named by the environment, those that answer at the usual ports, or own ones with their durability on. */
export async function findServers(): Promise<Servers & { stop(): Promise<void> }> {
  const stops: (() => Promise<void>)[] = [];
  let postgres = process.env['TYRUM_BENCH_POSTGRES_URL'];
  if (!postgres) {
    postgres = LOCAL_POSTGRES;
    if (!(await works(answers(LOCAL_POSTGRES)))) {
      const own = await startOwnPostgres();
      stops.push(() => own.stop());
      postgres = own.url;
    }
  }
  let redis = process.env['TYRUM_BENCH_REDIS_URL'];
  if (!redis) {
    redis = `redis://127.0.0.1:${LOCAL_REDIS_PORT}`;
    if (!(await works(pings(LOCAL_REDIS_PORT)))) {
      const own = await startOwnRedis();
      stops.push(() => own.stop());
      redis = own.url;
    }
  }
  const stop = async (): Promise<void> => {
    for (const each of stops) await each();
  };
  return { postgres, redis, stop };
}

async function works(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}
