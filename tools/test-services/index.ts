export { eventually } from './eventually';
export { freePort } from './free-port';
export { createPostgresDatabase, createSqlitePath, redisUrl, type TestDatabase } from './databases';
export { startMovableAddress, type MovableAddress } from './movable-address';
export { startOwnPgBouncer, type OwnPgBouncer } from './own-pgbouncer';
export { startOwnPostgres, type OwnPostgres } from './own-postgres';
export { startOwnStandby, type OwnStandby } from './own-standby';
export { startOwnRedis, type OwnRedis } from './own-redis';
export { spawnApp, type AppProcess } from './spawn-app';
