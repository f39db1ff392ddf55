import { LocalBackplane, type Backplane } from '@tyrum/backplane';
import { openStateStore, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { createPostgresDatabase, eventually } from '@tyrum/test-services';
import { appendEvents } from './append-events';
import type { OutboxEvent } from './outbox-event';
import { OutboxReader } from './outbox-reader';
import { OutboxTail, type OutboxTailOptions } from './outbox-tail';
import { pruneOutbox } from './outbox-retention';
import { gate, readEventually, testEvent } from './testing';

const tails: OutboxTail[] = [];

afterEach(() => Promise.all(tails.splice(0).map((tail) => tail.stop())));

async function follow(store: StateStore, backplane: Backplane, options: Partial<OutboxTailOptions>): Promise<string[]> {
  const delivered: string[] = [];
  const onEvents: OutboxTailOptions['onEvents'] = (events) =>
    void delivered.push(...events.map((event) => event.eventId));
  const tail = new OutboxTail(new OutboxReader(store), backplane, { onEvents, onError: () => {}, ...options });
  tails.push(tail);
  await tail.start();
  return delivered;
}

async function commit(store: StateStore, backplane: Backplane, events: readonly OutboxEvent[]): Promise<void> {
  await store.transaction((tx) => appendEvents(tx, events));
  backplane.publish('outbox');
}

describeOnBothDialects('OutboxTail', (stores) => {
  it('follows from the head, and from a place', async () => {
    const [store, backplane] = [await stores().open(), new LocalBackplane()];
    const start = await new OutboxReader(store).head();
    const [before, after] = [testEvent(), [testEvent(), testEvent()]];
    await commit(store, backplane, [before]);
    await readEventually(new OutboxReader(store), start, 1);
    const fromHead = await follow(store, backplane, {});
    const fromStart = await follow(store, backplane, { from: start, batch: 1 });
    for (const event of after) await commit(store, backplane, [event]);
    const ids = after.map((event) => event.eventId);
    await eventually(() => expect(fromHead).toEqual(ids));
    await eventually(() => expect(fromStart).toEqual([before.eventId, ...ids]));
  });

  it('finds what nobody woke it for', async () => {
    const store = await stores().open();
    const delivered = await follow(store, new LocalBackplane(), {});
    const event = testEvent();
    await commit(store, new LocalBackplane(), [event]);
    await eventually(() => expect(delivered).toEqual([event.eventId]));
  });

  it('reads less often while much comes, and takes all of it', async () => {
    const [store, backplane] = [await stores().open(), new LocalBackplane()];
    const delivered = await follow(store, backplane, {});
    const much = Array.from({ length: 40 }, () => testEvent());
    await commit(store, backplane, much);
    await eventually(() => expect(delivered).toHaveLength(much.length));
    const reads = jest.spyOn(OutboxReader.prototype, 'readAfter');
    const startedAt = performance.now();
    for (let i = 0; i < 30; i += 1) {
      await commit(
        store,
        backplane,
        much.map(() => testEvent()),
      );
      for (let woken = 0; woken < 10; woken += 1) {
        backplane.publish('outbox');
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const tookMs = performance.now() - startedAt;
    const count = reads.mock.calls.length;
    reads.mockRestore();
    // One a pause, whatever the machine's speed, and those at both ends.
    expect(count).toBeLessThan(tookMs / 4 + 3);
    await eventually(() => expect(delivered).toHaveLength(31 * much.length));
  });

  it('hands over one batch at a time, and again what its consumer could not take', async () => {
    const [store, backplane] = [await stores().open(), new LocalBackplane()];
    const events = Array.from({ length: 20 }, () => testEvent());
    const taken: string[] = [];
    const errors: unknown[] = [];
    let busy = 0;
    let overlaps = 0;
    let refused = 0;
    await follow(store, backplane, {
      batch: 3,
      onError: (error) => errors.push(error),
      onEvents: async (batch) => {
        busy += 1;
        if (busy > 1) overlaps += 1;
        await new Promise(setImmediate);
        busy -= 1;
        if (refused < 2 && taken.length >= 6) throw new Error(`refused ${(refused += 1)}`);
        taken.push(...batch.map((event) => event.eventId));
      },
    });
    for (const event of events) await commit(store, backplane, [event]);
    await eventually(() => expect(taken).toEqual(events.map((event) => event.eventId)));
    expect(overlaps).toBe(0);
    expect(errors).toHaveLength(2);
  });

  it('says so when retention has overtaken it', async () => {
    const [store, backplane] = [await stores().open(), new LocalBackplane()];
    const reader = new OutboxReader(store);
    const start = await reader.head();
    await commit(store, backplane, [testEvent({ occurredAt: 0 })]);
    await readEventually(reader, start, 1);
    await pruneOutbox(store, 1_000, 10);
    let gaps = 0;
    const delivered = await follow(store, backplane, { from: start, onGap: () => void (gaps += 1) });
    const event = testEvent();
    await commit(store, backplane, [event]);
    await eventually(() => expect(delivered).toEqual([event.eventId]));
    expect(gaps).toBe(1);
  });
});

describe('OutboxTail on postgres', () => {
  it('delivers soon after the transaction that was in the way ended, though nobody says so', async () => {
    const database = await createPostgresDatabase();
    const store = await openStateStore({ kind: 'postgres', url: database.url }, { poolSize: 4 });
    const backplane = new LocalBackplane();
    try {
      const reads = jest.spyOn(OutboxReader.prototype, 'readAfter');
      const delivered = await follow(store, backplane, { maxPauseMs: 120_000 });
      // Reads that find nothing make the tail patient: by now it would pause for far longer than this test takes.
      for (let n = 1; n <= 12; n += 1) {
        await eventually(() => expect(reads.mock.calls.length).toBeGreaterThanOrEqual(n));
        backplane.publish('outbox');
      }
      reads.mockRestore();
      const [wrote, release] = [gate(), gate()];
      const inTheWay = store.transaction(async (tx) => {
        await tx.query({ name: 'xid', postgres: 'select pg_current_xact_id()', sqlite: '' });
        wrote.open();
        await release.opened;
      });
      await wrote.opened;
      const event = testEvent();
      await commit(store, backplane, [event]);
      expect(delivered).toEqual([]);
      release.open();
      await inTheWay;
      await eventually(() => expect(delivered).toEqual([event.eventId]));
    } finally {
      await Promise.all(tails.splice(0).map((tail) => tail.stop()));
      await store.close();
      await database.drop();
    }
  });
});
