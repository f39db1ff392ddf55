import type { Backplane } from './backplane';
import { LocalBackplane } from './local-backplane';
import { PostgresBackplane, type NotificationSource } from './postgres-backplane';
import { RedisBackplane } from './redis-backplane';

/** What carries the wake-ups, as configured. */
export type BackplaneAddress =
  | { readonly kind: 'local' }
  | { readonly kind: 'postgres'; readonly notifications: NotificationSource }
  | { readonly kind: 'redis'; readonly redisUrl: string; readonly namespace: string };

/** Opens the backplane. @throws {EvictionPolicyError} the Redis named evicts keys */
export async function openBackplane(address: BackplaneAddress): Promise<Backplane> {
  switch (address.kind) {
    case 'local':
      return new LocalBackplane();
    case 'postgres':
      return new PostgresBackplane(address.notifications);
    case 'redis':
      return RedisBackplane.open({ url: address.redisUrl, namespace: address.namespace });
  }
}
