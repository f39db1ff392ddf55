import { randomUUID } from 'node:crypto';
import { appendEvents } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { Retention, type RetentionObserver } from './retention';

const DAY_MS = 24 * 60 * 60 * 1_000;
const KEPT_FOR = { turnsMs: 90 * DAY_MS, eventsMs: 7 * DAY_MS, historyMs: 30 * DAY_MS, auditMs: 365 * DAY_MS };

describeOnBothDialects('retention', (stores) => {
  let store: StateStore;
  let deleted: Record<string, number>;
  let sweeps: { durationMs: number; ages: Readonly<Record<string, number>> }[];

  beforeEach(async () => {
    store = await stores().open();
    deleted = {};
    sweeps = [];
  });

  const observer: RetentionObserver = {
    deleted: (table, rows) => (deleted[table] = (deleted[table] ?? 0) + rows),
    swept: (sweep) => sweeps.push(sweep),
    trouble: (_what, error) => {
      throw error;
    },
  };

  const retention = (owner: string, on: StateStore = store) =>
    new Retention(on, { owner, intervalMs: 60_000, batch: 10, keptFor: KEPT_FOR }, observer);

  const event = (occurredAt: number) => ({
    eventId: randomUUID(),
    tenantId: DEFAULT_TENANT_ID,
    type: 'test',
    scope: { kind: 'global' as const },
    payload: {},
    occurredAt,
  });

  const count = async (table: string) => {
    const text = `select count(*) as n from ${table}`;
    const [row] = await store.read((db) => db.query<{ n: number }>({ name: 'count', postgres: text, sqlite: text }));
    return row?.n;
  };

  it('deletes what is past its time, in batches, and keeps the rest', async () => {
    const now = Date.now();
    const old = Array.from({ length: 25 }, (_, i) => event(now - KEPT_FOR.eventsMs - 60_000 - i));
    await store.transaction((tx) => appendEvents(tx, [...old, event(now), event(now - KEPT_FOR.eventsMs + 60_000)]));
    const firing = (age: number) =>
      `insert into firing (tenant_id, schedule_id, instant, turn_id, fired_at) values
        ('${DEFAULT_TENANT_ID}', '${randomUUID()}', ${now - age}, '${randomUUID()}', ${now - age})`;
    for (const age of [KEPT_FOR.historyMs + 60_000, 0]) {
      await store.execute({ name: 'insert', postgres: firing(age), sqlite: firing(age) });
    }
    // A transaction open anywhere on the server, another test's too, keeps rows from being readable and so from deletion.
    await eventually(async () => {
      await retention('a').sweep();
      expect(deleted).toEqual({ outbox: 25, firing: 1 });
    });
    expect([await count('outbox'), await count('firing')]).toEqual([2, 1]);
    const last = sweeps.at(-1);
    expect(last?.durationMs).toBeGreaterThan(0);
    expect(last?.ages['outbox']).toBeGreaterThan(KEPT_FOR.eventsMs - 120_000);
    expect(last?.ages['outbox']).toBeLessThan(KEPT_FOR.eventsMs);
    expect(last?.ages['message']).toBe(0);
  });

  it('is done by one process at a time, and by another one afterwards', async () => {
    await store.transaction((tx) => appendEvents(tx, [event(0), event(1)]));
    const other = await stores().open();
    let swept = 0;
    await eventually(async () => {
      const both = await Promise.all([retention('a').sweep(), retention('b', other).sweep()]);
      swept += both.reduce((a, b) => a + b);
      expect(swept).toBe(2);
    });
    await store.transaction((tx) => appendEvents(tx, [event(0)]));
    await eventually(async () => expect(await retention('b', other).sweep()).toBe(1));
  });
});
