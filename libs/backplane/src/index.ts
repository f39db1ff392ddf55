export type { Backplane, Handler, Topic } from './backplane';
export { AdaptivePoll, type AdaptivePollOptions, type PollResult } from './adaptive-poll';
export { LocalBackplane } from './local-backplane';
export { openBackplane, type BackplaneAddress } from './open-backplane';
export { PostgresBackplane, type NotificationSource } from './postgres-backplane';
export { openRedisCounters, type SharedCounters } from './shared-counters';
export { EvictionPolicyError, RedisBackplane, type RedisBackplaneOptions } from './redis-backplane';
