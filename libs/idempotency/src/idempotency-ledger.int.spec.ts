import { payloadFingerprint } from '@tyrum/protocol';
import type { StateStore, Statement, Tx } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { IdempotencyLedger, type IdempotencyKey, type OnceOutcome } from './idempotency-ledger';

const TENANT = '00000000-0000-4000-8000-000000000001';
const OTHER_TENANT = '00000000-0000-4000-8000-000000000002';

function request(payload: unknown, overrides: Partial<IdempotencyKey> = {}): IdempotencyKey {
  const fingerprint = payloadFingerprint(payload);
  return { tenantId: TENANT, route: 'test', principal: 'device', key: 'k1', fingerprint, ...overrides };
}

/** An effect in the database that can be counted: an append to a table of nobody's. */
const effect: Statement = {
  name: 'effect',
  postgres: `insert into lease_history (kind, name, token, owner, reason, at) values ('effect', $1, 1, 'x', 'acquired', 0)`,
  sqlite: `insert into lease_history (kind, name, token, owner, reason, at) values ('effect', ?1, 1, 'x', 'acquired', 0)`,
};
const countEffects: Statement = {
  name: 'count-effects',
  postgres: `select name from lease_history where kind = 'effect' order by id`,
  sqlite: `select name from lease_history where kind = 'effect' order by id`,
};
const expireAll: Statement = {
  name: 'expire-keys',
  postgres: 'update idempotency_record set expires_at = 0',
  sqlite: 'update idempotency_record set expires_at = 0',
};

describeOnBothDialects('IdempotencyLedger', (stores) => {
  const ledger = new IdempotencyLedger();
  let store: StateStore;

  beforeEach(async () => {
    store = await stores().open();
  });

  async function effects(): Promise<string[]> {
    return (await store.execute<{ name: string }>(countEffects)).map((row) => row.name);
  }

  /** Does something whose answer tells which copy of the request did it. */
  function work(name: string): (tx: Tx) => Promise<{ by: string }> {
    return async (tx) => {
      await tx.query(effect, [name]);
      return { by: name };
    };
  }

  it('finds what an earlier copy was answered, until its time is up', async () => {
    expect(await ledger.find(store, request(1))).toBeUndefined();
    await ledger.runOnce(store, request(1), work('first'));
    expect(await ledger.find(store, request(1))).toEqual({ kind: 'replay', response: '{"by":"first"}' });
    expect(await ledger.find(store, request(2))).toEqual({ kind: 'conflict' });
    for (const other of [{ tenantId: OTHER_TENANT }, { route: 'x' }, { principal: 'x' }, { key: 'x' }]) {
      expect(await ledger.find(store, request(1, other))).toBeUndefined();
    }
    await store.execute(expireAll);
    expect(await ledger.find(store, request(1))).toBeUndefined();
  });

  describe('runOnce', () => {
    it('has one effect and one answer for 50 copies at once from two processes', async () => {
      const other = await stores().open();
      const copies = Array.from({ length: 50 }, (_, i) =>
        ledger.runOnce(i % 2 ? store : other, request({ a: 1, b: 2 }), work(`copy ${i}`)),
      );
      const outcomes = await Promise.all(copies);
      const [winner, ...more] = await effects();
      expect(more).toEqual([]);
      expect(outcomes.map((outcome) => outcome.kind === 'done' && outcome.response.by)).toEqual(Array(50).fill(winner));
      expect(outcomes.filter((outcome) => outcome.kind === 'done' && !outcome.replayed)).toHaveLength(1);
    });

    it('takes another order of fields for the same payload, and one changed byte for another', async () => {
      await ledger.runOnce(store, request({ a: 1, b: 'x' }), work('first'));
      expect(await ledger.runOnce(store, request({ b: 'x', a: 1 }), work('again'))).toMatchObject({ replayed: true });
      expect(await ledger.runOnce(store, request({ a: 1, b: 'y' }), work('changed'))).toEqual({ kind: 'conflict' });
      expect(await effects()).toEqual(['first']);
    });

    it('frees the key when the work fails, for copies that wait for it too', async () => {
      const other = await stores().open();
      let copy: Promise<OnceOutcome<object>> | undefined;
      const failed = ledger.runOnce(store, request(1), async (tx) => {
        await tx.query(effect, ['failed']);
        copy = ledger.runOnce(other, request(1), work('copy'));
        for (let i = 0; i < 10; i += 1) await tx.query(countEffects);
        throw new Error('crash');
      });
      await expect(failed).rejects.toThrow('crash');
      expect(await copy).toEqual({ kind: 'done', response: { by: 'copy' }, replayed: false });
      expect(await effects()).toEqual(['copy']);
    });

    it('keeps tenants, routes, principals and keys apart', async () => {
      const others: Partial<IdempotencyKey>[] = [
        { tenantId: OTHER_TENANT },
        { route: 'r' },
        { principal: 'p' },
        { key: 'k2' },
      ];
      for (const [i, overrides] of [{}, ...others].entries()) {
        expect(await ledger.runOnce(store, request(i, overrides), work(`${i}`))).toMatchObject({ replayed: false });
      }
      expect(await effects()).toEqual(['0', '1', '2', '3', '4']);
    });

    it('locks the conversations it is told of before it writes', async () => {
      const conversations = [{ tenantId: TENANT, conversationKey: 'agent:a:main' }];
      let inside = 0;
      let overlaps = 0;
      const other = await stores().open();
      const runs = Array.from({ length: 10 }, (_, i) =>
        ledger.runOnce(i % 2 ? store : other, { ...request(i, { key: `k${i}` }), conversations }, async (tx) => {
          inside += 1;
          if (inside > 1) overlaps += 1;
          for (let n = 0; n < 5; n += 1) await tx.query(countEffects);
          inside -= 1;
          return {};
        }),
      );
      await Promise.all(runs);
      expect(overlaps).toBe(0);
    });

    it('forgets after the retention, and not before', async () => {
      expect(await ledger.runOnce(store, request(1), work('first'))).toMatchObject({ replayed: false });
      expect(await ledger.prune(store, 10)).toBe(0);
      await store.execute(expireAll);
      expect(await ledger.runOnce(store, request(2), work('second'))).toMatchObject({ replayed: false });
      expect(await ledger.runOnce(store, request(2), work('third'))).toMatchObject({ replayed: true });
      await ledger.runOnce(store, request(1, { key: 'k2' }), work('x'));
      await ledger.runOnce(store, request(1, { key: 'k3' }), work('x'));
      await store.execute(expireAll);
      expect(await ledger.prune(store, 2)).toBe(2);
      expect(await ledger.prune(store, 2)).toBe(1);
    });
  });

  describe('reserveAll', () => {
    const withAnswer = (key: string, payload: unknown, response: string) => ({
      ...request(payload, { key }),
      response,
    });

    it('tells fresh from replayed from conflicting, copies in one list included', async () => {
      await store.transaction((tx) => ledger.reserveAll(tx, [withAnswer('old', 1, '"old"')]));
      const requests = [
        withAnswer('new', 1, '"first"'),
        withAnswer('old', 1, '"again"'),
        withAnswer('new', 1, '"copy"'),
        withAnswer('new', 2, '"other"'),
        withAnswer('old', 2, '"other"'),
      ];
      expect(await store.transaction((tx) => ledger.reserveAll(tx, requests))).toEqual([
        { kind: 'fresh', response: '"first"' },
        { kind: 'replay', response: '"old"' },
        { kind: 'replay', response: '"first"' },
        { kind: 'conflict' },
        { kind: 'conflict' },
      ]);
      expect(await store.transaction((tx) => ledger.reserveAll(tx, []))).toEqual([]);
    });

    it('gives each key to one of several batches that overlap in any order, and loses none', async () => {
      const all = [store, await stores().open(), await stores().open()];
      const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
      const batches = Array.from({ length: 12 }, (_, batch) =>
        (all[batch % 3] as StateStore).transaction((tx) => {
          const mine = keys.filter(() => Math.random() < 0.7).sort(() => Math.random() - 0.5);
          return ledger.reserveAll(
            tx,
            mine.map((key) => withAnswer(key, 1, JSON.stringify({ key, batch }))),
          );
        }),
      );
      const reservations = (await Promise.all(batches)).flat();
      const answers = new Map<string, Set<string>>();
      for (const reservation of reservations) {
        if (reservation.kind === 'conflict') throw new Error('all have the same payload');
        const { key } = JSON.parse(reservation.response) as { key: string };
        answers.set(key, (answers.get(key) ?? new Set()).add(reservation.response));
      }
      expect([...answers.values()].every((responses) => responses.size === 1)).toBe(true);
      expect(reservations.filter((reservation) => reservation.kind === 'fresh')).toHaveLength(answers.size);
    });

    it('takes keys that have expired', async () => {
      await store.transaction((tx) => ledger.reserveAll(tx, [withAnswer('k', 1, '"old"')]));
      await store.execute(expireAll);
      const [taken] = await store.transaction((tx) => ledger.reserveAll(tx, [withAnswer('k', 2, '"new"')]));
      expect(taken).toEqual({ kind: 'fresh', response: '"new"' });
      const [replayed] = await store.transaction((tx) => ledger.reserveAll(tx, [withAnswer('k', 2, '"x"')]));
      expect(replayed).toEqual({ kind: 'replay', response: '"new"' });
    });
  });
});
