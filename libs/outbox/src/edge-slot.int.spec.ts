import { randomUUID } from 'node:crypto';
import { LocalBackplane } from '@tyrum/backplane';
import type { StateStore, Statement } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { appendEvents } from './append-events';
import { EdgeSlot, pruneEdgeSlots, type EdgeSlotOptions } from './edge-slot';
import type { OutboxEvent } from './outbox-event';
import { OutboxReader } from './outbox-reader';
import { beginEpoch, pruneOutbox } from './outbox-retention';
import { OutboxTail } from './outbox-tail';
import { readEventually, testEvent } from './testing';

const HOUR_MS = 3_600_000;

const expireSlots: Statement = {
  name: 'expire-slots',
  postgres: 'update edge_slot set expires_at = 0',
  sqlite: 'update edge_slot set expires_at = 0',
};

describeOnBothDialects('EdgeSlot', (stores) => {
  const take = (store: StateStore, options: Partial<EdgeSlotOptions> = {}): Promise<EdgeSlot> =>
    EdgeSlot.take(store, {
      slot: 'edge-1',
      holder: randomUUID(),
      onError: (error) => {
        throw error;
      },
      onLost: () => {
        throw new Error('nobody else takes it');
      },
      ...options,
    });
  const commit = (store: StateStore, events: readonly OutboxEvent[]): Promise<unknown> =>
    store.transaction((tx) => appendEvents(tx, events));

  it('begins a new slot at the head and goes on with a known one where it was', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const start = await reader.head();
    await commit(store, [testEvent()]);
    await readEventually(reader, start, 1);
    const first = await take(store);
    expect((await reader.readAfter(first.from, 10)).events).toEqual([]);
    await commit(store, [testEvent()]);
    await commit(store, [testEvent({ occurredAt: 1 }), testEvent({ occurredAt: 1 })]);
    const [one, two] = await readEventually(reader, first.from, 3);
    if (!one || !two) throw new Error('there are three');
    first.passed(one.position);
    await first.ack();
    // Killed here: nothing is left but what was written.
    const again = await take(store);
    expect(again.from).toEqual(one.position);
    // A place inside a row: all of the row comes again.
    again.passed(two.position);
    await again.ack();
    expect((await reader.readAfter((await take(store)).from, 10)).events).toHaveLength(2);
    const other = await take(store, { slot: 'edge-2' });
    expect((await reader.readAfter(other.from, 10)).events).toEqual([]);
  });

  it('misses nothing over restarts that fall between reading and acknowledging', async () => {
    const store = await stores().open();
    const backplane = new LocalBackplane();
    const reader = new OutboxReader(store);
    const delivered: string[] = [];
    const committed: string[] = [];
    let unacknowledged = 0;
    for (let run = 0; run < 8; run += 1) {
      const slot = await take(store);
      const before = new Set(delivered);
      const tail = new OutboxTail(reader, backplane, {
        from: slot.from,
        batch: 3,
        onEvents: (events) => void delivered.push(...events.map((event) => event.eventId)),
        onPassed: (position) => slot.passed(position),
        onError: () => {},
      });
      await tail.start();
      for (let i = 0; i < 5; i += 1) {
        const event = testEvent();
        await commit(store, [event]);
        committed.push(event.eventId);
        backplane.publish('outbox');
      }
      await eventually(() => expect(new Set(delivered).size).toBeGreaterThan(before.size));
      if (run % 2 === 0) await slot.ack();
      else unacknowledged += 1;
      await tail.stop();
      // Committed while the edge is away.
      const missed = testEvent();
      await commit(store, [missed]);
      committed.push(missed.eventId);
    }
    const slot = await take(store);
    await eventually(async () => {
      const { events } = await reader.readAfter(slot.from, 1_000);
      const seen = new Set([...delivered, ...events.map((event) => event.eventId)]);
      expect(committed.filter((id) => !seen.has(id))).toEqual([]);
      expect(events.at(-1)?.eventId).toBe(committed.at(-1));
    });
    expect(unacknowledged).toBe(4);
    expect(delivered.length).toBeGreaterThan(new Set(delivered).size);
  });

  it('writes once for many events, and nothing while nothing happens', async () => {
    const store = await stores().open();
    const slot = await take(store, { ttlMs: HOUR_MS });
    const writes = jest.spyOn(store, 'execute');
    await commit(
      store,
      Array.from({ length: 500 }, () => testEvent()),
    );
    const events = await readEventually(new OutboxReader(store), slot.from, 500);
    for (const event of events) slot.passed(event.position);
    await slot.ack();
    await slot.ack();
    expect(writes).toHaveBeenCalledTimes(1);
  });

  it('keeps a holder that was replaced from moving the place', async () => {
    const store = await stores().open();
    let lost = 0;
    const old = await take(store, { onLost: () => (lost += 1) });
    const current = await take(store);
    await commit(store, [testEvent()]);
    const [event] = await readEventually(new OutboxReader(store), current.from, 1);
    if (!event) throw new Error('there is one');
    old.passed(event.position);
    await old.ack();
    await old.ack();
    expect(lost).toBe(1);
    expect((await take(store)).from).toEqual(current.from);
  });

  it('holds retention back while it is alive, not when it is gone, and not for ever', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const slot = await take(store, { ttlMs: HOUR_MS });
    const aged = (hours: number) => testEvent({ occurredAt: Date.now() - hours * HOUR_MS });
    await commit(store, [aged(15)]);
    await commit(store, [aged(15)]);
    const [first] = await readEventually(reader, slot.from, 2);
    if (!first) throw new Error('there are two');
    expect(await pruneOutbox(store, 10 * HOUR_MS, 10)).toBe(0);
    slot.passed(first.position);
    await slot.ack();
    expect(await pruneOutbox(store, 10 * HOUR_MS, 10)).toBe(1);
    expect(await reader.readAfter(first.position, 10)).toMatchObject({ gap: false, events: [{}] });
    await commit(store, [aged(21)]);
    await readEventually(reader, first.position, 2);
    expect(await pruneOutbox(store, 10 * HOUR_MS, 10)).toBe(1);
    expect(await reader.readAfter(first.position, 10)).toMatchObject({ gap: true });
    await store.execute(expireSlots);
    expect(await pruneOutbox(store, 10 * HOUR_MS, 10)).toBe(1);
    expect(await reader.readAfter((await take(store)).from, 10)).toMatchObject({ gap: true, events: [] });
  });

  it('is told of a gap after a restore', async () => {
    const store = await stores().open();
    await take(store);
    await beginEpoch(store);
    expect(await new OutboxReader(store).readAfter((await take(store)).from, 10)).toMatchObject({ gap: true });
  });

  it('is forgotten when its edge has been gone for long', async () => {
    const store = await stores().open();
    await take(store, { ttlMs: HOUR_MS });
    expect(await pruneEdgeSlots(store, HOUR_MS, 10)).toBe(0);
    await store.execute(expireSlots);
    expect(await pruneEdgeSlots(store, HOUR_MS, 10)).toBe(1);
  });
});
