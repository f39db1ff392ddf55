import { openStateStore, type DatabaseAddress, type StateStore, type Statement } from '@tyrum/statestore';
import { LeaseKeeper } from '../lease-keeper';
import { Leases, type HeldLease } from '../leases';

/*
 * One of several processes that want one lease. While it has it, it writes under it all the time; when it has lost it, it goes on
 * trying with the old token, as a zombie would, until it is refused, and says so. Told `block`, it holds up its event loop.
 * Arguments: where the database is (JSON), owner, TTL in ms.
 */

export const CONTENDED = { kind: 'contended', name: 'one' } as const;

/** What a contender tells its parent. */
export type ContenderReport =
  | { readonly event: 'holds'; readonly token: number }
  /** A write under a token that was not its own any more found nothing to write to. */
  | { readonly event: 'refused'; readonly token: number };

/** Notes under which token, and until when by the database the lease ran at that moment. */
const write: Statement = {
  name: 'write-under-lease',
  postgres: `insert into lease_write (token, owner, expires_at)
    select $1::bigint, $2, expires_at from lease where kind = 'contended' and name = 'one'`,
  sqlite: `insert into lease_write (token, owner, expires_at)
    select ?1, ?2, expires_at from lease where kind = 'contended' and name = 'one'`,
};

const PAUSE_MS = 20;

async function contend(store: StateStore, owner: string, ttlMs: number): Promise<void> {
  const leases = new Leases(store);
  const keeper = new LeaseKeeper(leases, { owner, ttlMs, onError: () => undefined });
  const report = (what: ContenderReport) => process.send?.(what);
  let lease: HeldLease | undefined;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    try {
      if (!lease) {
        lease = (await keeper.acquire(CONTENDED))?.lease;
        if (lease) report({ event: 'holds', token: lease.token });
        continue;
      }
      const held = lease;
      const written = await store.transaction(async (tx) => {
        if (!(await leases.isHeld(tx, held))) return false;
        await tx.query(write, [held.token, owner]);
        return true;
      });
      if (written) continue;
      report({ event: 'refused', token: held.token });
      lease = undefined;
    } catch {
      // The database is away for this process: it tries again with what it believes to hold.
    }
  }
}

process.on('message', (message: { readonly blockMs: number }) => {
  for (const until = performance.now() + message.blockMs; performance.now() < until;);
});
// Orphaned, it ends.
process.on('disconnect', () => process.exit());

const [address = '{}', owner = '', ttlMs = '0'] = process.argv.slice(2);
if (process.send) {
  void openStateStore(JSON.parse(address) as DatabaseAddress, { poolSize: 3 }).then((store) =>
    contend(store, owner, Number(ttlMs)),
  );
}
