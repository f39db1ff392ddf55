import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { Leases, type HeldLease } from './leases';
import { expireLease } from './testing';

const NAME = { kind: 'test', name: 'a/"b"' };
const TTL_MS = 600_000;

describeOnBothDialects('Leases', (stores) => {
  let store: StateStore;
  let leases: Leases;

  beforeEach(async () => {
    store = await stores().open();
    leases = new Leases(store);
  });

  async function acquire(owner: string): Promise<HeldLease> {
    const lease = await leases.acquire(NAME, owner, TTL_MS);
    if (!lease) throw new Error(`${owner} should have got the lease`);
    return lease;
  }

  it('gives a lease to one of many who want it at once', async () => {
    const all = [leases, ...(await Promise.all([stores().open(), stores().open()])).map((other) => new Leases(other))];
    for (let round = 1; round <= 10; round += 1) {
      const attempts = Array.from({ length: 12 }, (_, i) =>
        (all[i % 3] as Leases).acquire(NAME, `${round}-${i}`, TTL_MS),
      );
      const got = (await Promise.all(attempts)).filter((lease) => lease !== undefined);
      expect(got).toEqual([{ ...NAME, token: round }]);
      await expireLease(store, NAME);
    }
    const history = await leases.history(NAME, 100);
    expect(history.map((row) => row.reason)).toEqual([...Array<string>(9).fill('taken_over'), 'acquired']);
    // Every takeover names the one before it.
    expect(history.slice(0, -1).map((row) => row.taken_from)).toEqual(history.slice(1).map((row) => row.owner));
  });

  it('refuses a second owner until the first lets go, and raises the token', async () => {
    const first = await acquire('a');
    expect(await leases.acquire(NAME, 'b', TTL_MS)).toBeUndefined();
    await leases.release(first);
    expect((await acquire('b')).token).toBe(first.token + 1);
    expect((await leases.history(NAME, 10)).map(({ id: _id, at: _at, ...row }) => row)).toEqual([
      { token: 2, owner: 'b', taken_from: null, reason: 'acquired' },
      { token: 1, owner: 'a', taken_from: null, reason: 'released' },
      { token: 1, owner: 'a', taken_from: null, reason: 'acquired' },
    ]);
  });

  it('decides expiry by the database clock alone', async () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 10 * TTL_MS);
    const monotonic = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 10 * TTL_MS);
    try {
      await acquire('a');
      expect(await leases.acquire(NAME, 'b', TTL_MS)).toBeUndefined();
      now.mockReturnValue(0);
      monotonic.mockReturnValue(0);
      expect(await leases.acquire(NAME, 'b', TTL_MS)).toBeUndefined();
      await expireLease(store, NAME);
      expect(await leases.acquire(NAME, 'b', TTL_MS)).toMatchObject({ token: 2 });
    } finally {
      now.mockRestore();
      monotonic.mockRestore();
    }
  });

  it('lets one owner take its own again, and fences its earlier self', async () => {
    const before = await acquire('a');
    const after = await acquire('a');
    expect(after.token).toBe(before.token + 1);
    expect(await leases.renewAll([before], 'a', TTL_MS)).toEqual([false]);
    expect(await leases.renewAll([after], 'a', TTL_MS)).toEqual([true]);
    expect((await leases.history(NAME, 1))[0]).toMatchObject({ reason: 'acquired', taken_from: 'a' });
  });

  it('does nothing for a stale token', async () => {
    const stale = await acquire('a');
    await expireLease(store, NAME);
    const current = await acquire('b');
    expect(await leases.renewAll([stale], 'a', TTL_MS)).toEqual([false]);
    expect(await leases.renewAll([current], 'a', TTL_MS)).toEqual([false]);
    await leases.release(stale);
    expect(await store.transaction((tx) => leases.isHeld(tx, stale))).toBe(false);
    expect(await store.transaction((tx) => leases.isHeld(tx, current))).toBe(true);
    expect(await leases.renewAll([current], 'b', TTL_MS)).toEqual([true]);
    await leases.release(current);
    expect(await store.transaction((tx) => leases.isHeld(tx, current))).toBe(false);
  });

  it('renews many in one statement and says which are still held', async () => {
    const names = Array.from({ length: 50 }, (_, i) => ({ kind: i % 2 ? 'odd' : 'even', name: `${i >> 1}` }));
    const held: HeldLease[] = [];
    for (const name of names) held.push((await leases.acquire(name, 'a', TTL_MS)) as HeldLease);
    for (const lease of held.slice(0, 10)) {
      await expireLease(store, lease);
      await leases.acquire(lease, 'b', TTL_MS);
    }
    // Expired, but nobody has taken it: it is still its owner's.
    await expireLease(store, held[20] as HeldLease);
    expect(await leases.renewAll(held, 'a', TTL_MS)).toEqual(names.map((_, i) => i >= 10));
    expect(await leases.acquire(held[20] as HeldLease, 'b', TTL_MS)).toBeUndefined();
  });

  it('keeps a lease from changing hands while a transaction writes under it', async () => {
    const lease = await acquire('a');
    const other = new Leases(await stores().open());
    await expireLease(store, NAME);
    let taken = false;
    const order: string[] = [];
    let taking: Promise<unknown> = Promise.resolve();
    await store.transaction(async (tx) => {
      expect(await leases.isHeld(tx, lease)).toBe(true);
      taking = other.acquire(NAME, 'b', TTL_MS).then(() => order.push('taken'));
      for (let i = 0; i < 20; i += 1) await leases.isHeld(tx, lease);
      taken = order.length > 0;
      order.push('wrote');
    });
    await taking;
    expect(taken).toBe(false);
    expect(order).toEqual(['wrote', 'taken']);
  });

  it('lists leases with their state by the database clock', async () => {
    const [held, expired, free] = ['1-held', '2-expired', '3-free'].map((name) => ({ kind: 'listed', name }));
    for (const name of [held, expired, free]) await leases.acquire(name as HeldLease, 'a', TTL_MS);
    await expireLease(store, expired as HeldLease);
    await leases.release({ ...(free as HeldLease), token: 1 });
    const rows = await leases.list('listed');
    expect(rows.map(({ name, owner, token, held: isHeld }) => ({ name, owner, token, isHeld }))).toEqual([
      { name: '1-held', owner: 'a', token: 1, isHeld: true },
      { name: '2-expired', owner: 'a', token: 1, isHeld: false },
      { name: '3-free', owner: null, token: 1, isHeld: false },
    ]);
  });

  it('prunes history in batches and never the token', async () => {
    for (let i = 0; i < 5; i += 1) await leases.release(await acquire('a'));
    expect(await leases.pruneHistory(60_000, 100)).toBe(0);
    expect(await leases.pruneHistory(-60_000, 7)).toBe(7);
    expect(await leases.pruneHistory(-60_000, 7)).toBe(3);
    expect((await acquire('a')).token).toBe(6);
  });
});
