import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { IdempotencyLedger, type IdempotencyKey } from './idempotency-ledger';
import { TwoPhaseLedger } from './two-phase-ledger';

const REQUEST: IdempotencyKey = {
  tenantId: '00000000-0000-4000-8000-000000000001',
  route: 'two-phase',
  principal: 'device',
  key: 'k',
  fingerprint: 'f',
};
const ANSWER = { done: true };

describeOnBothDialects('TwoPhaseLedger', (stores) => {
  let store: StateStore;
  let ledger: TwoPhaseLedger;

  beforeEach(async () => {
    store = await stores().open();
    ledger = new TwoPhaseLedger(store, { holdMs: 60_000 });
  });

  const complete = (owner: string) => store.transaction((tx) => ledger.complete(tx, REQUEST, owner, ANSWER));
  const expire = () => {
    const sql = 'update idempotency_record set expires_at = 0';
    return store.execute({ name: 'expire', postgres: sql, sqlite: sql });
  };

  it('lets one of many begin, holds the others off, and replays its answer', async () => {
    const other = new TwoPhaseLedger(await stores().open(), { holdMs: 60_000 });
    const beginnings = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? ledger : other).begin(REQUEST, `owner ${i}`)),
    );
    expect(beginnings.filter((beginning) => beginning.kind === 'started')).toHaveLength(1);
    expect(beginnings.filter((beginning) => beginning.kind === 'in_flight')).toHaveLength(19);
    const owner = `owner ${beginnings.findIndex((beginning) => beginning.kind === 'started')}`;
    expect(await complete('somebody else')).toBe(false);
    expect(await complete(owner)).toBe(true);
    expect(await complete(owner)).toBe(false);
    expect(await other.begin(REQUEST, 'late')).toEqual({ kind: 'replay', response: ANSWER });
  });

  it('refuses another payload, in flight and completed', async () => {
    await ledger.begin(REQUEST, 'a');
    expect(await ledger.begin({ ...REQUEST, fingerprint: 'g' }, 'b')).toEqual({ kind: 'conflict' });
    await complete('a');
    expect(await ledger.begin({ ...REQUEST, fingerprint: 'g' }, 'b')).toEqual({ kind: 'conflict' });
  });

  it('frees a key that was abandoned', async () => {
    await ledger.begin(REQUEST, 'a');
    expect(await ledger.abandon(REQUEST, 'b')).toBe(false);
    expect(await ledger.abandon(REQUEST, 'a')).toBe(true);
    expect(await ledger.begin(REQUEST, 'b')).toEqual({ kind: 'started' });
  });

  it('hands a key over when its holder is silent for too long, and fences that holder', async () => {
    await ledger.begin(REQUEST, 'silent');
    await expire();
    expect(await ledger.begin(REQUEST, 'next')).toEqual({ kind: 'started' });
    expect(await complete('silent')).toBe(false);
    expect(await ledger.abandon(REQUEST, 'silent')).toBe(false);
    expect(await complete('next')).toBe(true);
  });

  it('keeps no answer whose transaction did not commit', async () => {
    await ledger.begin(REQUEST, 'a');
    const cut = store.transaction(async (tx) => {
      await ledger.complete(tx, REQUEST, 'a', ANSWER);
      throw new Error('cut');
    });
    await expect(cut).rejects.toThrow('cut');
    expect(await ledger.begin(REQUEST, 'b')).toEqual({ kind: 'in_flight' });
    expect(await complete('a')).toBe(true);
  });

  it('leaves expired records to retention and its routes to itself', async () => {
    await ledger.begin(REQUEST, 'a');
    const oneCommit = new IdempotencyLedger();
    const mixed = store.transaction((tx) => oneCommit.reserveAll(tx, [{ ...REQUEST, response: '{}' }]));
    await expect(mixed).rejects.toThrow('two-phase');
    await expire();
    expect(await oneCommit.prune(store, 10)).toBe(1);
  });
});
