import { randomUUID } from 'node:crypto';
import { openStateStore, type StateStore, type Statement, type Tx } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { createPostgresDatabase, eventually, type TestDatabase } from '@tyrum/test-services';
import { appendEvents } from './append-events';
import { OutboxReader } from './outbox-reader';
import { gate, readEventually, testEvent } from './testing';

class RolledBack extends Error {}

describeOnBothDialects('OutboxReader', (stores) => {
  it('gives back what was appended, in order', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    const events = [
      testEvent(),
      testEvent({
        type: 'turn.completed',
        scope: { kind: 'conversation', id: 'agent:a:main' },
        conversationKey: 'agent:a:main',
        conversationSeq: 7,
        turnId: randomUUID(),
        payload: { nested: [1, 'ü "quoted" \\ \u0000 \ud800', null] },
        occurredAt: 1_234,
      }),
    ];
    await store.transaction((tx) => appendEvents(tx, events));
    const stored = await readEventually(reader, head, 2);
    expect(stored.map(({ position, ...event }) => ({ event, epoch: position.epoch }))).toEqual(
      events.map((event) => ({ event, epoch: head.epoch })),
    );
    const page = await reader.readAfter(stored[0]?.position ?? head, 10);
    expect(page).toMatchObject({ events: [{ eventId: events[1]?.eventId }], gap: false });
    expect(await reader.readAfter(page.position, 10)).toMatchObject({
      events: [],
      position: page.position,
      gap: false,
    });
  });

  it('pages without skipping or repeating', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    const events = Array.from({ length: 25 }, () => testEvent());
    for (let i = 0; i < 25; i += 5) await store.transaction((tx) => appendEvents(tx, events.slice(i, i + 5)));
    await readEventually(reader, head, 25);
    const paged: string[] = [];
    for (let position = head; ;) {
      const page = await reader.readAfter(position, 7);
      if (page.events.length === 0) break;
      paged.push(...page.events.map((event) => event.eventId));
      position = page.position;
    }
    expect(paged).toEqual(events.map((event) => event.eventId));
  });

  it('loses nothing and makes nothing up while transactions commit late and roll back', async () => {
    const [first, second] = [await stores().open(), await stores().open()];
    const reader = new OutboxReader(first);
    let position = await reader.head();
    const committed = new Set<string>();
    const rolledBack = new Set<string>();
    let beat = gate();

    const write = async (store: StateStore): Promise<void> => {
      const events = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () => testEvent());
      const ids = events.map((event) => event.eventId);
      try {
        await store.transaction(async (tx) => {
          await appendEvents(tx, events.slice(0, 1));
          for (let holds = Math.floor(Math.random() * 3); holds > 0; holds -= 1) await beat.opened;
          await appendEvents(tx, events.slice(1));
          if (Math.random() < 0.2) throw new RolledBack();
        });
        for (const id of ids) committed.add(id);
      } catch (error) {
        if (!(error instanceof RolledBack)) throw error;
        for (const id of ids) rolledBack.add(id);
      }
    };
    const writers = [first, second, first, second, first, second].map(async (store) => {
      for (let i = 0; i < 40; i += 1) await write(store);
    });
    let writing = true;
    const written = Promise.all(writers).finally(() => (writing = false));

    const delivered: string[] = [];
    let crashes = 0;
    let waits = 0;
    const readOnce = async (): Promise<void> => {
      const page = await reader.readAfter(position, 10);
      expect(page.gap).toBe(false);
      if (page.waiting) waits += 1;
      // A reader that dies between delivery and acknowledgement begins again at its old place.
      delivered.push(...page.events.map((event) => event.eventId));
      if (page.events.length > 0 && Math.random() < 0.2) crashes += 1;
      else position = page.position;
    };
    while (writing) {
      await readOnce();
      beat.open();
      beat = gate();
    }
    await written;
    await eventually(async () => {
      await readOnce();
      expect(new Set(delivered).size).toBeGreaterThanOrEqual(committed.size);
    });

    const seen = new Set(delivered);
    expect([...committed].filter((id) => !seen.has(id))).toEqual([]);
    expect([...seen].filter((id) => !committed.has(id))).toEqual([]);
    expect(rolledBack.size).toBeGreaterThan(10);
    expect(crashes).toBeGreaterThan(0);
    if (stores().dialect === 'postgres') expect(waits).toBeGreaterThan(0);
  });

  it('keeps the order of each conversation under concurrent writers of overlapping sets', async () => {
    const [first, second] = [await stores().open(), await stores().open()];
    const reader = new OutboxReader(first);
    const head = await reader.head();
    const keys = ['A', 'B', 'C', 'D', 'E'];
    let total = 0;
    const writers = [first, second, first, second, first, second].map(async (store) => {
      for (let i = 0; i < 25; i += 1) {
        const mine = shuffle(keys).slice(0, 1 + Math.floor(Math.random() * keys.length));
        total += mine.length;
        await store.transaction(async (tx) => {
          await tx.lockConversations(mine.map(ref));
          for (const key of mine) await appendToConversation(tx, key);
        });
      }
    });
    await Promise.all(writers);
    const events = await readEventually(reader, head, total);
    for (const key of keys) {
      const seqs = events.filter((event) => event.conversationKey === key).map((event) => event.conversationSeq);
      expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    }
  });

  it('remembers how far its consumers came', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    expect(await reader.loadCursor('edge-1')).toBeUndefined();
    const position = { ...(await reader.head()), id: '42' };
    await reader.saveCursor('edge-1', position);
    await reader.saveCursor('edge-2', { ...position, id: '7' });
    await reader.saveCursor('edge-1', { ...position, id: '43' });
    expect(await reader.loadCursor('edge-1')).toEqual({ ...position, id: '43' });
  });
});

describe('OutboxReader on postgres with transactions that overlap', () => {
  let database: TestDatabase;
  let store: StateStore;
  let reader: OutboxReader;

  beforeEach(async () => {
    database = await createPostgresDatabase();
    store = await openStateStore({ kind: 'postgres', url: database.url }, { poolSize: 5 });
    reader = new OutboxReader(store);
  });

  afterEach(async () => {
    await store.close();
    await database.drop();
  });

  /** Begins a transaction that has appended its event and commits when told to. */
  async function hold(event = testEvent()): Promise<{ event: typeof event; commit(): Promise<void> }> {
    const [appended, release] = [gate(), gate()];
    const done = store.transaction(async (tx) => {
      await appendEvents(tx, [event]);
      appended.open();
      await release.opened;
    });
    await appended.opened;
    return {
      event,
      commit: async () => {
        release.open();
        await done;
      },
    };
  }

  it('delivers a row that commits late, which a cursor by id alone loses', async () => {
    const byId: Statement = {
      name: 'naive',
      postgres: 'select id, events from outbox where id > $1 order by id',
      sqlite: '',
    };
    let naivePosition = 0;
    const naive: string[] = [];
    const readNaively = async (): Promise<void> => {
      for (const { id, events } of await store.execute<{ id: number; events: string }>(byId, [naivePosition])) {
        naive.push(...(JSON.parse(events) as { event_id: string }[]).map(({ event_id }) => event_id));
        naivePosition = id;
      }
    };
    let position = await reader.head();
    const ours: string[] = [];
    const readOurs = async (): Promise<boolean> => {
      const page = await reader.readAfter(position, 10);
      position = page.position;
      ours.push(...page.events.map((event) => event.eventId));
      return page.waiting;
    };

    const late = await hold();
    const early = testEvent();
    await store.transaction((tx) => appendEvents(tx, [early]));
    await readNaively();
    expect(await readOurs()).toBe(true);
    await late.commit();
    await readNaively();
    await eventually(async () => {
      await readOurs();
      expect(ours).toEqual([late.event.eventId, early.eventId]);
    });
    expect(naive).toEqual([early.eventId]);
  });

  it('misses nothing that was open when a reader began at the head', async () => {
    const start = await reader.head();
    await store.transaction((tx) => appendEvents(tx, [testEvent()]));
    await readEventually(reader, start, 1);
    const open = await hold();
    const head = await reader.head();
    const younger = testEvent();
    await store.transaction((tx) => appendEvents(tx, [younger]));
    await open.commit();
    const ids = (await readEventually(reader, head, 2)).map((event) => event.eventId);
    expect(ids).toEqual([open.event.eventId, younger.eventId]);
  });

  it('tells how long committed events have been waiting, for whom, and how many are unread', async () => {
    const head = await reader.head();
    const open = await hold();
    await store.transaction((tx) => appendEvents(tx, [testEvent({ occurredAt: Date.now() - 60_000 })]));
    const stalled = await reader.lag(head);
    expect(stalled.stallMs).toBeGreaterThanOrEqual(60_000);
    expect(stalled.oldestWriterMs).toBeGreaterThan(0);
    expect(stalled.rowsBehind).toBe(0);
    await open.commit();
    await eventually(async () => expect(await reader.lag(head)).toMatchObject({ stallMs: 0, rowsBehind: 2 }));
  });

  /**
   * Writes B first and A later, with another writer of A in between: the order in which a batch comes to its conversations
   * must not matter. Returns A's sequence numbers as they are delivered.
   */
  async function interleave(lock: boolean): Promise<(number | undefined)[]> {
    const head = await reader.head();
    const [wroteB, otherDone] = [gate(), gate()];
    const batch = store.transaction(async (tx) => {
      if (lock) await tx.lockConversations([ref('B'), ref('A')]);
      await appendToConversation(tx, 'B');
      wroteB.open();
      if (!lock) await otherDone.opened;
      await appendToConversation(tx, 'A');
    });
    await wroteB.opened;
    const other = store.transaction(async (tx) => {
      if (lock) await tx.lockConversations([ref('A')]);
      await appendToConversation(tx, 'A');
    });
    void other.then(otherDone.open);
    await Promise.all([batch, other]);
    const events = await readEventually(reader, head, 3);
    return events.filter((event) => event.conversationKey === 'A').map((event) => event.conversationSeq);
  }

  it('would deliver a conversation out of order if its writers did not lock it first', async () => {
    expect(await interleave(false)).toEqual([2, 1]);
  });

  it('delivers a conversation in order because its writers lock it first', async () => {
    expect(await interleave(true)).toEqual([1, 2]);
  });
});

const countEvent: Statement = {
  name: 'count-event',
  postgres: `insert into conversation_queue as q (tenant_id, conversation_key, state, last_event_seq) values ($1, $2, 'idle', 1)
    on conflict (tenant_id, conversation_key) do update set last_event_seq = q.last_event_seq + 1 returning last_event_seq`,
  sqlite: `insert into conversation_queue as q (tenant_id, conversation_key, state, last_event_seq) values (?1, ?2, 'idle', 1)
    on conflict (tenant_id, conversation_key) do update set last_event_seq = q.last_event_seq + 1 returning last_event_seq`,
};

async function appendToConversation(tx: Tx, key: string): Promise<void> {
  const { tenantId } = ref(key);
  const [row] = await tx.query<{ last_event_seq: number }>(countEvent, [tenantId, key]);
  await appendEvents(tx, [testEvent({ conversationKey: key, conversationSeq: row?.last_event_seq })]);
}

function ref(conversationKey: string): { tenantId: string; conversationKey: string } {
  return { tenantId: testEvent().tenantId, conversationKey };
}

function shuffle<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
