export type { Backplane, CommitTail, Handler, Topic } from './backplane';
export { AdaptivePoll, type AdaptivePollOptions, type PollResult } from './adaptive-poll';
export { Coalescer } from './coalescer';
export { LocalBackplane } from './local-backplane';
export { PostgresBackplane, type NotificationSource } from './postgres-backplane';
export { openRedisBackplane } from './open-redis-backplane';
export { openRedisCounters, type SharedCounters } from './shared-counters';
export { openRedisPlaces, PLACES_TTL_MS, type Holding, type SharedPlaces, type WantedPlace } from './shared-places';
