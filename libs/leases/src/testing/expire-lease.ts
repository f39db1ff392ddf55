import type { StateStore, Statement } from '@tyrum/statestore';
import type { LeaseName } from '../leases';

const expire: Statement = {
  name: 'expire-lease',
  postgres: 'update lease set expires_at = 0 where kind = $1 and name = $2',
  sqlite: 'update lease set expires_at = 0 where kind = ?1 and name = ?2',
};

/** Lets a lease run out now, as if its holder had been silent for its TTL. */
export async function expireLease(store: StateStore, { kind, name }: LeaseName): Promise<void> {
  await store.execute(expire, [kind, name]);
}
