export { eventually } from './eventually';
export { fakeClockEnv } from './fake-clock';
export { freePort } from './free-port';
export { createPostgresDatabase, createSqlitePath, redisUrl, type TestDatabase } from './databases';
export { startOwnPgBouncer, type OwnPgBouncer } from './own-pgbouncer';
export { startOwnPostgres, type OwnPostgres } from './own-postgres';
export { startOwnRedis, type OwnRedis } from './own-redis';
export { spawnApp, type AppProcess, type SpawnOptions } from './spawn-app';
