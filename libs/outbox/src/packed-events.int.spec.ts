import { randomUUID } from 'node:crypto';
import type { Statement } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { appendEvents } from './append-events';
import type { OutboxEvent } from './outbox-event';
import { OutboxReader } from './outbox-reader';
import { decodePosition, encodePosition } from './position';
import { readEventually, testEvent } from './testing';

describeOnBothDialects('rows of several events', (stores) => {
  it('hold a commit, and a reader goes on behind any of them', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    const other = randomUUID();
    const large = { text: 'x'.repeat(1_500) };
    const moment = Date.now();
    const events = Array.from({ length: 10 }, (_, i) =>
      testEvent({ payload: i < 7 ? {} : large, occurredAt: moment, ...(i % 2 === 0 ? {} : { tenantId: other }) }),
    );
    await store.transaction((tx) => appendEvents(tx, events));
    const stored = await readEventually(reader, head, 10);
    // Each tenant's in their order, some a row: one of the first tenant is too large for the row of those before it.
    expect(new Set(stored.map(({ position }) => position.id)).size).toBeLessThan(5);
    for (const tenantId of new Set([other, testEvent().tenantId])) {
      const ids = (list: readonly OutboxEvent[]) =>
        list.filter((event) => event.tenantId === tenantId).map(({ eventId }) => eventId);
      expect(ids(stored)).toEqual(ids(events));
    }
    for (const [i, { position }] of stored.entries()) {
      const kept = decodePosition(encodePosition(position));
      if (!kept) throw new Error('a cursor of ours can be read');
      const rest = stored.slice(i + 1);
      expect((await reader.readAfter(kept, 100)).events).toEqual(rest);
      for (const limit of [1, 2, 5]) {
        const page = await reader.take(kept, limit);
        expect(page.events).toEqual(rest.slice(0, limit));
        expect(page.position).toEqual(rest[limit - 1]?.position ?? stored.at(-1)?.position);
      }
    }
  });

  it('make no difference to how many events a page has', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    const events = Array.from({ length: 250 }, () => testEvent());
    for (let i = 0; i < 225; i += 1) await store.transaction((tx) => appendEvents(tx, events.slice(i, i + 1)));
    await store.transaction((tx) => appendEvents(tx, events.slice(225)));
    await readEventually(reader, head, 250);
    expect(await reader.take(head, 227)).toMatchObject({ events: { length: 227 }, more: true });
    expect(await reader.take(head, 1_000)).toMatchObject({ events: { length: 250 }, more: false, gap: false });
  });

  it('are passed by a forged place that says more events than there are', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await store.transaction((tx) => appendEvents(tx, [testEvent({ occurredAt: 1 }), testEvent({ occurredAt: 1 })]));
    const [first] = await readEventually(reader, head, 2);
    const end = { ...head, ...first?.position, taken: undefined };
    const page = await reader.take({ ...end, taken: 9_999 }, 1);
    expect(page).toMatchObject({ events: [], gap: false });
    expect(page.position).toEqual(end);
  });

  it('stand beside what a process of the version before writes, one event a row', async () => {
    const turnId = randomUUID();
    const old: Statement = {
      name: 'append-as-before',
      postgres: `insert into outbox (tenant_id, event_id, type, scope_kind, scope_id, conversation_key, conversation_seq, turn_id,
          payload, occurred_at)
        values ($1, $2, 'turn.queued', 'turn', $3::text, 'agent:a:main', 7, $3::text::uuid, '{"a":[null]}', 5),
          ($1, $4, 'x', 'global', null, null, null, null, '{}', 6)`,
      sqlite: `insert into outbox (tenant_id, event_id, type, scope_kind, scope_id, conversation_key, conversation_seq, turn_id,
          payload, occurred_at)
        values (?1, ?2, 'turn.queued', 'turn', ?3, 'agent:a:main', 7, ?3, '{"a":[null]}', 5),
          (?1, ?4, 'x', 'global', null, null, null, null, '{}', 6)`,
    };
    const [one, two] = [testEvent(), testEvent()];
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    await store.execute(old, [one.tenantId, one.eventId, turnId, two.eventId]);
    const events = (await readEventually(reader, head, 2)).map(({ position: _, ...event }) => event);
    expect(events).toEqual([
      {
        ...one,
        scope: { kind: 'turn', id: turnId },
        conversationKey: 'agent:a:main',
        conversationSeq: 7,
        turnId,
        payload: { a: [null] },
        occurredAt: 5,
      },
      { ...two, type: 'x', occurredAt: 6 },
    ]);
  });

  it('make a place inside the row that comes next a foreign one', async () => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    await store.transaction((tx) => appendEvents(tx, [testEvent()]));
    const head = await reader.head();
    const ahead = { ...head, id: (BigInt(head.id) + 1n).toString(), taken: 2 };
    expect(await reader.readAfter(ahead, 10)).toMatchObject({ events: [], gap: true });
  });

  it.each([
    { kind: 'turn' },
    { kind: 'turn', id: 'another' },
    { kind: 'conversation' },
    { kind: 'conversation', id: 'agent:a:main' },
    { kind: 'global' },
    { kind: 'node', id: 'dev_1' },
  ] as const)('keep the scope %j, whatever else the event is about', async (scope) => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const head = await reader.head();
    const about = { turnId: randomUUID(), conversationKey: 'agent:a:main' };
    const events = [testEvent({ scope }), testEvent({ scope, ...about })];
    await store.transaction((tx) => appendEvents(tx, events));
    expect((await readEventually(reader, head, 2)).map((event) => event.scope)).toEqual([scope, scope]);
  });
});
