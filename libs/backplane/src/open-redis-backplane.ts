import type { Backplane } from './backplane';
import type { RedisBackplaneOptions } from './redis-backplane';

/**
 * Opens the Redis backplane. Its packages are loaded only now: a process without Redis does without their 19 MiB.
 * @throws {EvictionPolicyError} the Redis named evicts keys
 */
export async function openRedisBackplane(options: RedisBackplaneOptions): Promise<Backplane> {
  const { RedisBackplane } = await import(/* webpackMode: "eager" */ './redis-backplane');
  return RedisBackplane.open(options);
}
