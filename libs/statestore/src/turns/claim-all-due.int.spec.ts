import { randomUUID } from 'node:crypto';
import { createPostgresDatabase, type TestDatabase } from '@tyrum/test-services';
import { PostgresStateStore } from '../postgres-state-store';
import { Tenants } from '../records';
import type { Param, Statement } from '../state-store';
import { ClaimRing } from './claim-ring';
import { TurnStore } from './turn-store';

const TTL_MS = 60_000;
const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });

/** SQLite has one way to claim. */
describe('a claim that hopes to take all that is due', () => {
  let database: TestDatabase;
  let store: PostgresStateStore;
  let turns: TurnStore;
  let ring: ClaimRing;
  let statements: string[];

  beforeEach(async () => {
    database = await createPostgresDatabase();
    store = await PostgresStateStore.open({ url: database.url, poolSize: 5 });
    statements = [];
    const watched = Object.create(store, {
      execute: {
        value: (statement: Statement, params: Param[]) => {
          statements.push(statement.name);
          return store.execute(statement, params);
        },
      },
    }) as PostgresStateStore;
    turns = new TurnStore(watched);
    ring = new ClaimRing();
  });
  afterEach(async () => {
    await store.close();
    await database.drop();
  });

  const ready = (tenant: string, agent: string, count: number, dueAt = 1_000) =>
    store.execute(
      sql(`insert into conversation_queue (tenant_id, conversation_key, state, due_at, pending)
        select $1::uuid, 'agent:' || $2 || ':x:dm:' || gen_random_uuid(), 'ready', $4::bigint + i, 1 from generate_series(1, $3::int) i`),
      [tenant, agent, count, dueAt],
    );
  const leased = (tenant: string, dueAt: number) =>
    store.execute(
      sql(`insert into conversation_queue (tenant_id, conversation_key, state, due_at, lease_owner)
        values ($1, 'agent:a:y:dm:1', 'leased', $2, 'gone')`),
      [tenant, dueAt],
    );
  const claim = (limit: number) => turns.claim('w', TTL_MS, limit, { ring });
  const states = async () => {
    const rows = await store.execute<{ state: string; n: number }>(
      sql('select state, count(*) as n from conversation_queue group by state'),
    );
    return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
  };

  it('takes it, from however many tenants and agents, and knows that nothing is left', async () => {
    for (let i = 0; i < 70; i += 1) await ready(randomUUID(), `a${i}`, 1);
    await ready(randomUUID(), 'later', 1, Date.now() + 3_600_000);
    const claimed = await claim(70);
    expect(claimed).toHaveLength(70);
    for (const { token, takenFrom, takeovers } of claimed) expect([token, takenFrom, takeovers]).toEqual([1, null, 0]);
    expect(ring.more).toBe(false);
    expect(statements).toEqual(['claim-all-due']);
    expect(await states()).toEqual({ leased: 70, ready: 1 });
    expect(await claim(10)).toEqual([]);
    expect(statements).toEqual(['claim-all-due', 'claim-all-due']);
  });

  it('goes round where there is more than it may take', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    await ready(first, 'a', 10);
    await ready(second, 'a', 1, 2_000);
    expect((await claim(10)).map(({ tenantId }) => tenantId)).toContain(second);
    expect(statements).toEqual(['claim-all-due', 'claim-conversations']);
    expect(ring.more).toBe(true);
  });

  it('goes round for a lease that has run out, which is a takeover', async () => {
    const tenant = randomUUID();
    await ready(tenant, 'a', 1);
    await leased(tenant, 1);
    expect((await claim(10)).map(({ takenFrom }) => takenFrom)).toEqual(['gone', null]);
    expect(statements).toEqual(['claim-all-due', 'claim-conversations']);
  });

  it('goes round while shares have caps, without hoping once it knows', async () => {
    const tenant = randomUUID();
    await ready(tenant, 'a', 5);
    await turns.setShare({ tenantId: tenant, maxRunning: 2 });
    expect(await claim(10)).toHaveLength(2);
    expect(await claim(10)).toHaveLength(0);
    ring.capped = true;
    statements.length = 0;
    await claim(10);
    expect(statements).toEqual(['claim-conversations']);
  });

  it('leaves alone what belongs to a disabled tenant, and takes what else is due', async () => {
    const tenant = randomUUID();
    const row = { tenant_id: tenant, slug: 'off', created_at: 1, disabled_at: 1 };
    await store.transaction((tx) => tx.records(Tenants).insert(row));
    await ready(tenant, 'a', 3);
    await leased(tenant, 1);
    const other = randomUUID();
    await ready(other, 'a', 1);
    expect((await claim(10)).map(({ tenantId }) => tenantId)).toEqual([other]);
    expect(statements).toEqual(['claim-all-due']);
    await ready(other, 'a', 1, 2_000);
    expect((await claim(1)).map(({ tenantId }) => tenantId)).toEqual([other]);
    expect(statements).toEqual(['claim-all-due', 'claim-all-due']);
    // They would be walked over each time.
    await ready(tenant, 'a', 61);
    await ready(other, 'a', 1, 2_000);
    expect((await claim(2)).map(({ tenantId }) => tenantId)).toEqual([other]);
    expect(statements).toEqual(['claim-all-due', 'claim-all-due', 'claim-all-due', 'claim-conversations']);
  });

  it('hopes less and less often the more often it was in vain', async () => {
    const tenant = randomUUID();
    for (let i = 0; i < 40; i += 1) {
      await ready(tenant, 'a', 3);
      await claim(2);
      await claim(2);
    }
    const hopes = statements.filter((name) => name === 'claim-all-due').length;
    expect(hopes).toBeLessThan(10);
    // And as before, once all was due and taken again.
    statements.length = 0;
    for (let i = 0; i < 70; i += 1) await claim(2);
    expect(statements.at(-1)).toBe('claim-all-due');
  });

  it('is not planned anew each time because of a backlog that the statistics remember', async () => {
    await ready(randomUUID(), 'a', 2_000);
    await store.execute(
      sql(`insert into conversation_queue (tenant_id, conversation_key, state)
        select gen_random_uuid(), 'agent:a:x:dm:' || i, 'idle' from generate_series(1, 20000) i`),
    );
    await store.execute(sql('analyze conversation_queue'));
    await store.execute(sql(`update conversation_queue set state = 'idle', due_at = null where state = 'ready'`));
    const one = await PostgresStateStore.open({ url: database.url, poolSize: 1 });
    for (let i = 0; i < 20; i += 1) await new TurnStore(one).claim('w', TTL_MS, 2, { turnsEach: 5 });
    const [plans] = await one.execute(
      sql(`select generic_plans, custom_plans from pg_prepared_statements where name like 'claim-all-due%'`),
    );
    expect(plans).toEqual({ generic_plans: 15, custom_plans: 5 });
    await one.close();
  });

  it('shares with claims beside it: none gets what another has', async () => {
    const tenant = randomUUID();
    await ready(tenant, 'a', 40);
    const all = await Promise.all(
      Array.from({ length: 5 }, () => turns.claim('w', TTL_MS, 50, { ring: new ClaimRing() })),
    );
    const keys = all.flat().map(({ conversationKey }) => conversationKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toHaveLength(40);
  });
});
