import { randomUUID } from 'node:crypto';
import type { StateStore, Statement } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { DirectedMail, type DirectedMessage, type ReturnedMessage } from './directed-mail';
import { EdgeSlot } from './edge-slot';

const expireSlots: Statement = {
  name: 'expire-slots',
  postgres: 'update edge_slot set expires_at = 0',
  sqlite: 'update edge_slot set expires_at = 0',
};

class Undone extends Error {}

describeOnBothDialects('DirectedMail', (stores) => {
  let store: StateStore;
  let mail: DirectedMail;
  beforeEach(async () => {
    store = await stores().open();
    mail = new DirectedMail(store);
  });

  const edge = (holder: string, slot = 'edge-1'): Promise<EdgeSlot> =>
    EdgeSlot.take(store, { slot, holder, ttlMs: 60_000, onError: () => {}, onLost: () => {} });
  const message = (parts: Partial<DirectedMessage> = {}): DirectedMessage => ({
    messageId: randomUUID(),
    tenantId: '00000000-0000-4000-8000-000000000001',
    slot: 'edge-1',
    connectionId: 'c1',
    origin: 'dispatch',
    payload: '{"type":"task.execute"}',
    deliverWithinMs: 60_000,
    ...parts,
  });
  const send = (...messages: DirectedMessage[]): Promise<void> => store.transaction((tx) => mail.send(tx, messages));
  const collect = (origin = 'dispatch'): Promise<ReturnedMessage[]> =>
    store.transaction((tx) => mail.collect(tx, origin, 100));
  const waiting = async (holder = 'a', slot = 'edge-1'): Promise<string[]> =>
    (await mail.waiting(slot, holder, 100)).map(({ messageId }) => messageId);

  it('reaches the edge that owns the connection, in order, once settled no more, and nobody else', async () => {
    await Promise.all([edge('a'), edge('b', 'edge-2')]);
    const [one, two, elsewhere] = [message(), message(), message({ slot: 'edge-2' })];
    await send(one, two, elsewhere);
    await send(one);
    expect(await waiting()).toEqual([one.messageId, two.messageId]);
    expect(await waiting('b', 'edge-2')).toEqual([elsewhere.messageId]);
    expect(await waiting('another process')).toEqual([]);
    expect(await mail.settle('edge-2', [{ messageId: one.messageId }])).toBe(0);
    expect(await mail.settle('edge-1', [{ messageId: one.messageId }])).toBe(1);
    expect(await waiting()).toEqual([two.messageId]);
    expect(await mail.returnUndeliverable(10)).toBe(0);
    expect(await collect()).toEqual([]);
  });

  it('is not sent when its transaction is rolled back', async () => {
    await edge('a');
    const undone = store.transaction(async (tx) => {
      await mail.send(tx, [message()]);
      throw new Undone();
    });
    await expect(undone).rejects.toThrow(Undone);
    expect(await waiting()).toEqual([]);
  });

  it('comes back when the connection is unknown there', async () => {
    await edge('a');
    const sent = message();
    await send(sent);
    await mail.settle('edge-1', [{ messageId: sent.messageId, reason: 'not_connected' }]);
    expect(await collect('another origin')).toEqual([]);
    expect(await collect()).toMatchObject([{ messageId: sent.messageId, reason: 'not_connected', slot: 'edge-1' }]);
    expect(await collect()).toEqual([]);
  });

  it('comes back when its edge dies, leaves, never was, or takes too long', async () => {
    const [slot] = [await edge('a'), await edge('b', 'edge-2')];
    const [left, late, never, alive] = [
      message(),
      message({ slot: 'edge-2', deliverWithinMs: 0 }),
      message({ slot: 'nobody' }),
      message({ slot: 'edge-2' }),
    ];
    await send(left, late, never, alive);
    await slot.leave();
    expect(await waiting()).toEqual([]);
    expect(await mail.returnUndeliverable(2)).toBe(2);
    expect(await mail.returnUndeliverable(2)).toBe(1);
    expect(await mail.returnUndeliverable(2)).toBe(0);
    const reasons = (await collect()).map(({ messageId, reason }) => [messageId, reason]);
    expect(Object.fromEntries(reasons)).toEqual({
      [left.messageId]: 'edge_gone',
      [late.messageId]: 'too_late',
      [never.messageId]: 'edge_gone',
    });
    await store.execute(expireSlots);
    expect(await mail.returnUndeliverable(2)).toBe(1);
    expect(await collect()).toMatchObject([{ messageId: alive.messageId, reason: 'edge_gone' }]);
  });

  it('either is delivered or comes back, never both, when an edge that was given up settles late', async () => {
    await edge('a');
    const sent = message();
    await send(sent);
    expect(await waiting()).toEqual([sent.messageId]);
    await store.execute(expireSlots);
    await mail.returnUndeliverable(10);
    expect(await mail.settle('edge-1', [{ messageId: sent.messageId }])).toBe(0);
    expect(await collect()).toMatchObject([{ messageId: sent.messageId }]);
  });

  it('stays at its origin until what the origin makes of it is committed', async () => {
    await send(message());
    await mail.returnUndeliverable(10);
    const failing = store.transaction(async (tx) => {
      expect(await mail.collect(tx, 'dispatch', 10)).toHaveLength(1);
      throw new Undone();
    });
    await expect(failing).rejects.toThrow(Undone);
    expect(await collect()).toHaveLength(1);
  });

  it('is forgotten after a while once it is settled, in batches', async () => {
    await edge('a');
    const messages = [message(), message(), message()];
    await send(...messages);
    await mail.settle('edge-1', messages.slice(0, 2));
    expect(await mail.prune(60_000, 10)).toBe(0);
    expect(await mail.prune(-1, 1)).toBe(1);
    expect(await mail.prune(-1, 10)).toBe(1);
    expect(await mail.prune(-1, 10)).toBe(0);
    expect(await waiting()).toEqual([messages[2]?.messageId]);
  });
});
