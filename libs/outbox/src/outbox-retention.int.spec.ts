import { openStateStore, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { createPostgresDatabase, eventually } from '@tyrum/test-services';
import { appendEvents } from './append-events';
import { OutboxReader } from './outbox-reader';
import { beginEpoch, pruneOutbox } from './outbox-retention';
import { gate, readEventually, testEvent } from './testing';

const HOUR_MS = 3_600_000;

describeOnBothDialects('outbox retention', (stores) => {
  /** Appends one event per age, each in its own commit. */
  async function appendAged(store: StateStore, ages: readonly number[]): Promise<void> {
    for (const ageMs of ages) {
      await store.transaction((tx) => appendEvents(tx, [testEvent({ occurredAt: Date.now() - ageMs })]));
    }
  }

  it('deletes what is old enough, in batches, and keeps the rest', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await appendAged(store, [5 * HOUR_MS, 4 * HOUR_MS, 3 * HOUR_MS, 0, 0]);
    await readEventually(reader, head, 5);
    expect(await pruneOutbox(store, HOUR_MS, 2)).toBe(2);
    expect(await pruneOutbox(store, HOUR_MS, 2)).toBe(1);
    expect(await pruneOutbox(store, HOUR_MS, 2)).toBe(0);
    await readEventually(reader, head, 2);
  });

  it('tells a reader of a gap exactly when rows after its place are gone', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await appendAged(store, [5 * HOUR_MS, 4 * HOUR_MS, 0, 0]);
    const [, second, third, fourth] = await readEventually(reader, head, 4);
    if (!second || !third || !fourth) throw new Error('there are four');
    await pruneOutbox(store, HOUR_MS, 10);
    expect(await reader.readAfter(head, 1)).toMatchObject({ gap: true, events: [{ eventId: third.eventId }] });
    expect(await reader.readAfter(second.position, 1)).toMatchObject({
      gap: false,
      events: [{ eventId: third.eventId }],
    });
    expect(await reader.readAfter(third.position, 1)).toMatchObject({
      gap: false,
      events: [{ eventId: fourth.eventId }],
    });
  });

  it('keeps a row of a process whose clock was ahead until it is old, and does not forget how far it came', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await appendAged(store, [2 * HOUR_MS, -2 * HOUR_MS, 9 * HOUR_MS, 0]);
    const [, ahead, third, fourth] = await readEventually(reader, head, 4);
    if (!ahead || !third || !fourth) throw new Error('there are four');
    expect(await pruneOutbox(store, HOUR_MS, 10)).toBe(2);
    expect(await reader.readAfter(head, 10)).toMatchObject({
      gap: true,
      events: [{ eventId: ahead.eventId }, { eventId: fourth.eventId }],
    });
    expect(await pruneOutbox(store, -3 * HOUR_MS, 1)).toBe(1);
    expect(await reader.readAfter(ahead.position, 10)).toMatchObject({
      gap: true,
      events: [{ eventId: fourth.eventId }],
    });
    expect(await reader.readAfter(third.position, 10)).toMatchObject({ gap: false });
  });

  it('tells of a gap once when nothing is left after it', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await appendAged(store, [5 * HOUR_MS]);
    await readEventually(reader, head, 1);
    await pruneOutbox(store, HOUR_MS, 10);
    const page = await reader.readAfter(head, 10);
    expect(page).toMatchObject({ events: [], gap: true });
    expect(await reader.readAfter(page.position, 10)).toMatchObject({ events: [], gap: false });
    await appendAged(store, [0]);
    await readEventually(reader, page.position, 1);
  });

  it('tells of a gap and goes on at the head when the epoch or the place is not of this database', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    await appendAged(store, [0]);
    const head = await reader.head();
    const places = [
      { ...head, epoch: '0'.repeat(32) },
      // On Postgres a place of the head's transaction is behind as soon as anybody else on the server has written.
      stores().dialect === 'postgres' ? { ...head, xid: '18446744073709551615' } : { ...head, id: '999999999' },
    ];
    for (const place of places) {
      const page = await reader.readAfter(place, 10);
      expect(page).toMatchObject({ events: [], gap: true, position: { epoch: head.epoch } });
      expect(await reader.readAfter(page.position, 10)).toMatchObject({ gap: false });
    }
  });

  it('begins a new epoch in which every event is readable and every place of before is a gap', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const before = await reader.head();
    await appendAged(store, [0, 0, 0]);
    const events = await readEventually(reader, before, 3);
    await reader.saveCursor('edge-1', before);
    if (stores().dialect === 'postgres') {
      // As after a dump was loaded into a server that has counted fewer transactions.
      const ahead = `update outbox set xid = '1000000000000'::xid8`;
      await store.execute({ name: 'ahead', postgres: ahead, sqlite: '' });
      expect((await reader.readAfter(before, 10)).events).toEqual([]);
    }
    await beginEpoch(store);
    expect(await reader.readAfter(before, 10)).toMatchObject({ events: [], gap: true });
    expect(await reader.loadCursor('edge-1')).toBeUndefined();
    const { epoch } = await reader.head();
    const restored = await readEventually(reader, { epoch, xid: '0', id: '0' }, 3);
    expect(restored.map((event) => event.eventId)).toEqual(events.map((event) => event.eventId));
  });
});

describe('outbox retention on postgres', () => {
  it('never deletes what readers may not take yet', async () => {
    const database = await createPostgresDatabase();
    const store = await openStateStore({ kind: 'postgres', url: database.url }, { poolSize: 4 });
    try {
      const [appended, release] = [gate(), gate()];
      const open = store.transaction(async (tx) => {
        await appendEvents(tx, [testEvent({ occurredAt: 0 })]);
        appended.open();
        await release.opened;
      });
      await appended.opened;
      await store.transaction((tx) => appendEvents(tx, [testEvent({ occurredAt: 0 })]));
      expect(await pruneOutbox(store, HOUR_MS, 10)).toBe(0);
      release.open();
      await open;
      await eventually(async () => expect(await pruneOutbox(store, HOUR_MS, 10)).toBe(2));
    } finally {
      await store.close();
      await database.drop();
    }
  });
});
