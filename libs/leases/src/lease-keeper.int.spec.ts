import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { LeaseKeeper } from './lease-keeper';
import { Leases, type LeaseName } from './leases';
import { LossLog } from './loss-log';
import { expireLease } from './testing';

const NAME = { kind: 'test', name: 'kept' };

describeOnBothDialects('LeaseKeeper', (stores) => {
  let store: StateStore;
  let leases: Leases;
  const keepers: LeaseKeeper[] = [];

  beforeEach(async () => {
    store = await stores().open();
    leases = new Leases(store);
  });

  afterEach(async () => {
    for (const keeper of keepers.splice(0)) await keeper.close();
  });

  function keeper(owner: string, ttlMs: number, errors: unknown[] = []): LeaseKeeper {
    const created = new LeaseKeeper(leases, { owner, ttlMs, onError: (error) => errors.push(error) });
    keepers.push(created);
    return created;
  }

  async function expiryOf({ kind, name }: LeaseName): Promise<number> {
    return (await leases.list(kind)).find((row) => row.name === name)?.expires_at ?? 0;
  }

  it('keeps leases alive well beyond their TTL', async () => {
    const mine = keeper('a', 600);
    const other = { kind: 'test', name: 'other' };
    const first = await mine.acquire(NAME);
    const second = await mine.acquire(other);
    const until = (await expiryOf(NAME)) + 1_200;
    await eventually(async () => expect(await expiryOf(NAME)).toBeGreaterThan(until));
    expect([first?.lost.aborted, second?.lost.aborted]).toEqual([false, false]);
    expect(mine.held).toEqual([first?.lease, second?.lease]);
    expect(await leases.acquire(NAME, 'b', 600)).toBeUndefined();
    expect(await leases.acquire(other, 'b', 600)).toBeUndefined();
  });

  const reasons = async (from = NAME) =>
    (await leases.history(from, 10)).map(({ reason, owner, token }) => [reason, owner, token]);

  it('says so when a lease was taken over', async () => {
    const mine = keeper('a', 900);
    const held = await mine.acquire(NAME);
    await expireLease(store, NAME);
    expect(await leases.acquire(NAME, 'b', 60_000)).toMatchObject({ token: 2 });
    await eventually(() => expect(held?.lost.aborted).toBe(true));
    expect(mine.held).toEqual([]);
    expect(await mine.acquire(NAME)).toBeUndefined();
    await eventually(async () =>
      expect(await reasons()).toEqual([
        ['lost', 'a', 1],
        ['taken_over', 'b', 2],
        ['acquired', 'a', 1],
      ]),
    );
  });

  it('gives a lease up before anybody else can have it when the database does not answer', async () => {
    const errors: unknown[] = [];
    const mine = keeper('a', 1_000, errors);
    const held = await mine.acquire(NAME);
    const expiresAt = await expiryOf(NAME);
    const renewals = jest.spyOn(leases, 'renewAll').mockRejectedValue(new Error('no answer'));
    const lostAt = await new Promise<number>((resolve) =>
      held?.lost.addEventListener('abort', () => resolve(Date.now())),
    );
    expect(renewals).toHaveBeenCalled();
    // Database and test share the host's clock here.
    expect(lostAt).toBeLessThan(expiresAt);
    expect(mine.held).toEqual([]);
    expect(errors.length).toBeGreaterThan(0);
    renewals.mockRestore();
    // Nobody has taken it, and it has been given up all the same. That can be written when the database is back.
    await eventually(async () => expect((await reasons())[0]).toEqual(['lost', 'a', 1]));
    expect(await mine.acquire(NAME)).toMatchObject({ lease: { token: 2 } });
    await mine.release(NAME);
    expect((await reasons()).map(([reason]) => reason)).toEqual(['released', 'acquired', 'lost', 'acquired']);
  });

  it('keeps a loss in mind while it cannot be written, and writes it once', async () => {
    const errors: unknown[] = [];
    const log = new LossLog(leases, { owner: 'a', onError: (error) => errors.push(error) });
    const lease = { ...NAME, token: 1 };
    expect(await leases.acquire(NAME, 'a', 60_000)).toEqual(lease);
    log.add(lease);
    const away = jest.spyOn(leases, 'noteLost').mockRejectedValue(new Error('no answer'));
    await log.flush();
    expect(errors).toHaveLength(1);
    away.mockRestore();
    await log.flush();
    expect((await reasons()).map(([reason]) => reason)).toEqual(['lost', 'acquired']);
    log.add(lease);
    await log.flush();
    expect((await reasons()).map(([reason]) => reason)).toEqual(['lost', 'acquired']);
  });

  it('does not trust a lease again whose renewal came through too late', async () => {
    const mine = keeper('a', 300);
    const held = await mine.acquire(NAME);
    let answer: (held: boolean[]) => void = () => {};
    const renewals = jest.spyOn(leases, 'renewAll').mockReturnValue(new Promise((resolve) => (answer = resolve)));
    await eventually(() => expect(held?.lost.aborted).toBe(true));
    renewals.mockRestore();
    answer([true]);
    await new Promise(setImmediate);
    expect(mine.held).toEqual([]);
  });

  it('lets go at once', async () => {
    const mine = keeper('a', 60_000);
    const first = await mine.acquire(NAME);
    await mine.release(NAME);
    expect(first?.lost.aborted).toBe(true);
    expect(await leases.acquire(NAME, 'b', 60_000)).toMatchObject({ token: 2 });
    await mine.acquire({ kind: 'test', name: 'x' });
    await mine.close();
    expect(await leases.acquire({ kind: 'test', name: 'x' }, 'b', 60_000)).toMatchObject({ token: 2 });
  });

  it('ends its first hold when it takes the same lease again', async () => {
    const mine = keeper('a', 60_000);
    const first = await mine.acquire(NAME);
    const second = await mine.acquire(NAME);
    expect([first?.lost.aborted, second?.lost.aborted]).toEqual([true, false]);
    expect(mine.held).toEqual([{ ...NAME, token: 2 }]);
  });
});
