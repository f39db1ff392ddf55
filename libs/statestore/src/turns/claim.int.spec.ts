import { randomUUID } from 'node:crypto';
import { eventually } from '@tyrum/test-services';
import type { Param, StateStore, Statement } from '../state-store';
import { Tenants } from '../records';
import { describeOnBothDialects, type TestStores } from '../testing';
import { ClaimRing } from './claim-ring';
import { CLAIM_AGENTS, CLAIM_TENANTS, claimConversations } from './sql/claim-conversations';
import { TurnStore } from './turn-store';
import type { ClaimedConversation } from './turn-writes';

const BACKLOG = 100_000;
const BIG = '00000000-0000-4000-8000-00000000000a';
const TTL_MS = 60_000;

/** Conversations that are ready, `each` for every tenant and agent given, the first ones due longest. */
const fill: Statement = {
  name: 'fill',
  postgres: `insert into conversation_queue (tenant_id, conversation_key, state, due_at, pending, priority)
    select $1::uuid, 'agent:' || $2 || ':x:dm:' || i, 'ready', 1000 + i, 1, $4::int from generate_series(1, $3::int) i`,
  sqlite: `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?3)
    insert into conversation_queue (tenant_id, conversation_key, state, due_at, pending, priority)
    select ?1, 'agent:' || ?2 || ':x:dm:' || i, 'ready', 1000 + i, 1, ?4 from n`,
};

/** Conversations under leases that run out at a time. */
const fillLeased: Statement = {
  name: 'fill-leased',
  postgres: `insert into conversation_queue (tenant_id, conversation_key, state, due_at, lease_owner)
    select $1::uuid, 'agent:a:y:dm:' || i, 'leased', $3::bigint + i, 'w' from generate_series(1, $2::int) i`,
  sqlite: `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?2)
    insert into conversation_queue (tenant_id, conversation_key, state, due_at, lease_owner)
    select ?1, 'agent:a:y:dm:' || i, 'leased', ?3 + i, 'w' from n`,
};

const age: Statement = {
  name: 'age',
  postgres: `update conversation_queue set due_at = $1 where tenant_id = $2`,
  sqlite: `update conversation_queue set due_at = ?1 where tenant_id = ?2`,
};

describeOnBothDialects('claiming', (stores: () => TestStores) => {
  let store: StateStore;
  let turns: TurnStore;

  beforeEach(async () => {
    store = await stores().open();
    turns = new TurnStore(store);
  });

  const ready = (tenant: string, agent: string, count: number, priority = 0) =>
    store.execute(fill, [tenant, agent, count, priority]);
  /** One that goes round without hoping to take all that is due. */
  const goingRound = (from?: string) => Object.assign(new ClaimRing(from), { more: true });
  const keysOf = (claimed: readonly ClaimedConversation[]) => claimed.map((c) => c.conversationKey);

  describe('with 100,000 conversations of one tenant waiting for longer than one each of 20 others', () => {
    let others: string[];
    beforeEach(async () => {
      others = Array.from({ length: 20 }, () => randomUUID());
      await ready(BIG, 'a', BACKLOG);
      for (const tenant of others) await ready(tenant, 'a', 1);
      await store.execute(age, [1, BIG]);
    });

    it.each([
      { limit: 1, claims: 21 },
      { limit: 10, claims: 3 },
      { limit: 50, claims: 1 },
    ])('serves the 20 within $claims claims of $limit', async ({ limit, claims }) => {
      const ring = new ClaimRing();
      const served = new Set<string>();
      for (let i = 0; i < claims; i += 1) {
        for (const { tenantId } of await turns.claim('w', TTL_MS, limit, { ring })) served.add(tenantId);
      }
      expect(others.filter((tenant) => !served.has(tenant))).toEqual([]);
    });

    it('fills what the 20 leave free, and goes on at once', async () => {
      const ring = new ClaimRing(BIG);
      const first = await turns.claim('w', TTL_MS, 50, { ring });
      expect(ring.more).toBe(true);
      const second = await turns.claim('w', TTL_MS, 50, { ring });
      expect(second).toHaveLength(50);
      expect(first.filter(({ tenantId }) => tenantId === BIG).length).toBeGreaterThan(0);
    });
  });

  it('reads no more of the database for a backlog a thousand times as long', async () => {
    const cost = () => blocksRead(store, ['w', TTL_MS, 50, BIG, 0, '{}']);
    await ready(BIG, 'a', 100);
    const small = await cost();
    await ready(BIG, 'b', BACKLOG);
    const large = await cost();
    // Two lanes instead of one, two levels of the index more; a walk over the backlog would be a thousand blocks.
    expect(large).toBeLessThan(small * 2 + 200);
  });

  it('reads no more of the database for 20,000 leases that have not run out', async () => {
    const cost = () => blocksRead(store, ['w', TTL_MS, 50, BIG, 0, '{}']);
    await ready(BIG, 'a', 100);
    const few = await cost();
    await store.execute(fillLeased, [randomUUID(), 20_000, Date.now() * 2]);
    expect(await cost()).toBeLessThan(few * 2 + 200);
  });

  it('gives a tenant its weight in every round, however small the claims', async () => {
    const [heavy, light] = [randomUUID(), randomUUID()];
    await ready(heavy, 'a', 100);
    await ready(light, 'a', 100);
    await turns.setShare({ tenantId: heavy, weight: 3 });
    const ring = new ClaimRing();
    const order: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      for (const { tenantId } of await turns.claim('w', TTL_MS, 1, { ring })) order.push(tenantId);
    }
    expect(order.filter((tenant) => tenant === heavy)).toHaveLength(30);
    const others = order.map((tenant, i) => (tenant === light ? i : -1)).filter((i) => i >= 0);
    expect(others.slice(1).every((at, i) => at - (others[i] ?? 0) === 4)).toBe(true);
  });

  it('never runs more of a tenant than its cap, with claims side by side, and the rest of the workers are for others', async () => {
    const [capped, free] = [randomUUID(), randomUUID()];
    await ready(capped, 'a', 200);
    await ready(free, 'a', 30);
    await turns.setShare({ tenantId: capped, maxRunning: 7 });
    const other = new TurnStore(await stores().open());
    const claimed: ClaimedConversation[] = [];
    for (let round = 0; round < 10; round += 1) {
      const batches = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 ? turns : other).claim(`w${i}`, TTL_MS, 5)),
      );
      claimed.push(...batches.flat());
    }
    expect(claimed.filter(({ tenantId }) => tenantId === capped)).toHaveLength(7);
    expect(claimed.filter(({ tenantId }) => tenantId === free)).toHaveLength(30);
  });

  it('keeps a place under a cap that another claim is just filling', async () => {
    await ready(BIG, 'a', 200);
    await turns.setShare({ tenantId: BIG, maxRunning: 7 });
    const other = new TurnStore(await stores().open());
    const [first, second] = await store.transaction(async () => {
      const mine = await turns.claim('one', TTL_MS, 5);
      const theirs = other.claim('two', TTL_MS, 5);
      // SQLite lets the other in only after this commit; on Postgres it comes by while this is open.
      if (store.dialect === 'postgres') await theirs;
      return [mine, theirs] as const;
    });
    const rest = [
      ...(await second),
      ...(await other.claim('two', TTL_MS, 5)),
      ...(await other.claim('two', TTL_MS, 5)),
    ];
    expect([first.length, rest.length]).toEqual([5, 2]);
  });

  it('knows that it has seen all tenants, also those it came to after the end of the ring', async () => {
    const [first, last] = [randomUUID(), randomUUID()].sort() as [string, string];
    for (const tenant of [first, last]) await ready(tenant, 'a', 1);
    const ring = goingRound(last);
    expect(await turns.claim('w', TTL_MS, 10, { ring })).toHaveLength(2);
    expect(ring.more).toBe(false);
  });

  it('says that there may be more where it has looked at as many tenants, or agents of one, as it may', async () => {
    for (let i = 0; i <= CLAIM_TENANTS; i += 1) await ready(randomUUID(), 'a', 1);
    const ring = goingRound();
    expect(await turns.claim('w', TTL_MS, 100, { ring })).toHaveLength(CLAIM_TENANTS);
    expect(ring.more).toBe(true);
    expect(await turns.claim('w', TTL_MS, 100, { ring })).toHaveLength(1);
    expect(ring.more).toBe(false);
    ring.more = true;
    for (let i = 0; i <= CLAIM_AGENTS; i += 1) await ready(BIG, `a${String(i).padStart(3, '0')}`, 1);
    await turns.setShare({ tenantId: BIG, weight: 3 });
    expect(await turns.claim('w', TTL_MS, 100, { ring })).toHaveLength(CLAIM_AGENTS);
    expect(ring.more).toBe(true);
  });

  it('says so too where those agents have nothing that is due yet', async () => {
    for (let i = 0; i < CLAIM_AGENTS; i += 1) await ready(BIG, `a${String(i).padStart(3, '0')}`, 1);
    await store.execute(age, [Date.now() + 3_600_000, BIG]);
    await ready(BIG, 'z', 1);
    const near = randomUUID();
    await turns.setShare({ tenantId: near, weight: 3 });
    await ready(near, 'a', 1);
    const ring = goingRound(BIG);
    expect(await turns.claim('w', TTL_MS, 2, { ring })).toMatchObject([{ tenantId: near }]);
    expect(ring.more).toBe(true);
  });

  it('says that there are caps, which may have kept it from something', async () => {
    const ring = new ClaimRing();
    await ready(BIG, 'a', 4);
    expect(await turns.claim('w', TTL_MS, 1, { ring })).toHaveLength(1);
    expect(ring.capped).toBe(false);
    await turns.setShare({ tenantId: BIG, weight: 2 });
    expect(await turns.claim('w', TTL_MS, 1, { ring })).toHaveLength(1);
    expect(ring.capped).toBe(false);
    await turns.setShare({ tenantId: BIG, agentKey: 'a', maxRunning: 3 });
    expect(await turns.claim('w', TTL_MS, 5, { ring })).toHaveLength(1);
    expect([ring.capped, ring.more]).toEqual([true, false]);
  });

  it('holds an agent to its cap without holding up the other agents of its tenant', async () => {
    await ready(BIG, 'busy', 1_000);
    await store.execute(age, [1, BIG]);
    await ready(BIG, 'other', 3);
    await turns.setShare({ tenantId: BIG, agentKey: 'busy', maxRunning: 2 });
    const ring = new ClaimRing();
    const claimed = [
      ...(await turns.claim('w', TTL_MS, 20, { ring })),
      ...(await turns.claim('w', TTL_MS, 20, { ring })),
    ];
    const agents = claimed.map(({ conversationKey }) => conversationKey.split(':')[1]);
    expect(agents.filter((agent) => agent === 'busy')).toHaveLength(2);
    expect(agents.filter((agent) => agent === 'other')).toHaveLength(3);
  });

  it('sees every agent of a tenant with more of them than one claim looks at', async () => {
    for (let i = 0; i < 150; i += 1) await ready(BIG, `a${String(i).padStart(3, '0')}`, 5);
    const ring = new ClaimRing();
    const seen = new Set<string>();
    for (let i = 0; i < 10; i += 1) {
      for (const key of keysOf(await turns.claim('w', TTL_MS, 64, { ring }))) seen.add(key.split(':')[1] ?? '');
    }
    expect(seen.size).toBe(150);
  });

  it('prefers what is urgent until the rest has waited for longer than its head start', async () => {
    await ready(BIG, 'patient', 2);
    await store.execute(age, [Date.now() - 61_000, BIG]);
    await ready(BIG, 'urgent', 2, 2);
    const [now] = [Date.now() - 1_000];
    await store.execute(
      {
        name: 'now',
        postgres: `update conversation_queue set due_at = $1 where priority = 2`,
        sqlite: `update conversation_queue set due_at = ?1 where priority = 2`,
      },
      [now],
    );
    const ring = new ClaimRing(BIG);
    const order: string[] = [];
    for (let i = 0; i < 4; i += 1) order.push(...keysOf(await turns.claim('w', TTL_MS, 1, { ring })));
    // Two steps of priority are worth 60 s: the patient ones have 61 s on them.
    expect(order.map((key) => key.split(':')[1])).toEqual(['patient', 'patient', 'urgent', 'urgent']);
    await store.execute(
      {
        name: 'again',
        postgres: `update conversation_queue set state = 'ready', lease_owner = null,
          due_at = case priority when 2 then $1 else $1::bigint - 50000 end`,
        sqlite: `update conversation_queue set state = 'ready', lease_owner = null,
          due_at = case priority when 2 then ?1 else ?1 - 50000 end`,
      },
      [now],
    );
    const [first] = keysOf(await turns.claim('w', TTL_MS, 1, { ring }));
    expect(first?.split(':')[1]).toBe('urgent');
  });

  it('decides by the clock of the database alone what has run out', async () => {
    await ready(BIG, 'a', 1);
    await turns.claim('first', TTL_MS, 1);
    const wallClock = jest.spyOn(Date, 'now');
    try {
      for (const offMs of [10 * TTL_MS, -10 * TTL_MS]) {
        wallClock.mockReturnValue(performance.timeOrigin + performance.now() + offMs);
        expect(await turns.claim('second', TTL_MS, 1)).toEqual([]);
      }
      await store.execute(age, [1, BIG]);
      expect(await turns.claim('second', TTL_MS, 1)).toMatchObject([{ takenFrom: 'first' }]);
    } finally {
      wallClock.mockRestore();
    }
  });

  it('never takes a lease before its time, by the rows themselves', async () => {
    await ready(BIG, 'a', 1);
    await turns.claim('first', 1_500, 1);
    const list: Statement = { name: 'leases', postgres: 'select due_at from conversation_queue', sqlite: '' };
    const noted: Statement = { name: 'noted', postgres: 'select at from lease_history', sqlite: '' };
    const read = async (statement: Statement) =>
      (await store.execute<{ due_at: number; at: number }>({ ...statement, sqlite: statement.postgres }))[0];
    const lease = await read(list);
    await eventually(async () => expect(await turns.claim('second', TTL_MS, 1)).toHaveLength(1));
    expect((await read(noted))?.at).toBeGreaterThanOrEqual(lease?.due_at ?? Infinity);
  });

  describe('of disabled tenants', () => {
    const insertTenant = (disabled_at: number | null, tenant_id: string = randomUUID()): Promise<string> => {
      const row = { tenant_id, slug: tenant_id, created_at: 1, disabled_at };
      return store.transaction((tx) => tx.records(Tenants).insert(row)).then(() => tenant_id);
    };
    const enable = (tenant_id: string) =>
      store.transaction((tx) => tx.records(Tenants).update({ tenant_id }, { disabled_at: null }));

    it('passes over what is ready and what ran out, until they are enabled', async () => {
      const tenant = await insertTenant(1);
      await ready(tenant, 'a', 3);
      await store.execute(fillLeased, [tenant, 2, 1]);
      await ready(BIG, 'a', 1);
      expect((await turns.claim('w', TTL_MS, 50)).map(({ tenantId }) => tenantId)).toEqual([BIG]);
      await enable(tenant);
      expect(await turns.claim('w', TTL_MS, 50)).toHaveLength(5);
    });

    it.each([0, 1, 64, 65, 127, 999])(
      'gives them no places in the ring, however many they are, from place %i',
      async (first) => {
        // One before each of the others, and some behind.
        const id = (n: number) => `11111111-0000-4000-8000-${String(n).padStart(12, '0')}`;
        const enabled = Array.from({ length: CLAIM_TENANTS }, (_, i) => id(2 * i + 2));
        const disabled = Array.from({ length: CLAIM_TENANTS + 20 }, (_, i) => id(2 * i + 1));
        for (const tenant of disabled) await insertTenant(1, tenant);
        for (const tenant of [...enabled, ...disabled]) await ready(tenant, 'a', 1);
        const claimed = await turns.claim('w', TTL_MS, 100, { ring: goingRound(id(first)) });
        expect(claimed.map(({ tenantId }) => tenantId).sort()).toEqual([...enabled].sort());
      },
    );
  });

  it('brings no turns of a conversation that has none, for they may have been cancelled', async () => {
    await ready(BIG, 'a', 2);
    const claimed = await turns.claim('w', TTL_MS, 2, { turnsEach: 5 });
    expect(claimed.map((conversation) => conversation.turns)).toEqual([[], []]);
    expect(await turns.workOf(claimed)).toEqual([[], []]);
  });

  it('counts every takeover in the claim itself', async () => {
    await ready(BIG, 'a', 1);
    const takeovers: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      for (const claimed of await turns.claim(`w${i}`, TTL_MS, 1)) takeovers.push(claimed.takeovers);
      await store.execute(age, [1, BIG]);
    }
    expect(takeovers).toEqual([0, 1, 2, 3]);
  });

  it.each([
    { kib: [100, 100, 100, 100], loaded: 3 },
    { kib: [600, 1], loaded: 1 },
    { kib: [1, 1, 1, 1, 1, 1], loaded: 5 },
  ])('brings $loaded turns with inputs of $kib KiB: no more than 5, and none behind too much input', async (given) => {
    const columns = { tenant_id: BIG, conversation_key: 'agent:a:main' };
    const names = { agent_key: 'a', channel: 'main', thread_id: 'main', title: '' };
    const about = { kind: 'workflow', trigger_kind: 'test', budgets: null } as const;
    const queued = given.kib.map((kib) => ({
      ...columns,
      ...about,
      turn_id: randomUUID(),
      input: JSON.stringify('é'.repeat(kib * 512 - 1)),
    }));
    const conversation = { ...columns, ...names, account_key: null, container_kind: null };
    await store.transaction(async (tx) => {
      await tx.lockConversations([{ tenantId: BIG, conversationKey: columns.conversation_key }]);
      await turns.enqueue(tx, [{ conversation, turns: queued, messages: [], events: 1 }]);
    });
    const [claimed] = await turns.claim('w', TTL_MS, 1, { turnsEach: 5 });
    const expected = queued.slice(0, given.loaded).map(({ turn_id }) => turn_id);
    expect(claimed?.turns.map(({ turn_id }) => turn_id)).toEqual(expected);
    const ref = { tenantId: BIG, conversationKey: columns.conversation_key };
    const again = await store.read((db) => turns.openTurns(db, [ref], 5));
    expect(again.map(({ turn_id }) => turn_id)).toEqual(expected);
  });
});

/** Database pages a claim looks at: from the plan on Postgres, and on SQLite the steps of its program in their stead. */
async function blocksRead(store: StateStore, params: readonly Param[]): Promise<number> {
  if (store.dialect === 'postgres') {
    await store.execute({ name: 'analyze', postgres: 'analyze conversation_queue', sqlite: '' });
    const explained: Statement = {
      name: 'explain-claim',
      postgres: `explain (analyze, buffers, timing off, format json) ${claimConversations.postgres}`,
      sqlite: '',
    };
    const [row] = await store.execute<{ 'QUERY PLAN': string | { Plan: Record<string, number> }[] }>(explained, [
      ...params,
      0,
    ]);
    const plan = row?.['QUERY PLAN'] ?? '[]';
    const [top] = typeof plan === 'string' ? (JSON.parse(plan) as { Plan: Record<string, number> }[]) : plan;
    return (top?.Plan['Shared Hit Blocks'] ?? 0) + (top?.Plan['Shared Read Blocks'] ?? 0);
  }
  const explained: Statement = {
    name: 'explain-claim',
    postgres: '',
    sqlite: `explain query plan ${claimConversations.sqlite as string}`,
  };
  const plan = await store.execute<{ detail: string }>(explained, params);
  // Every look at the queue itself is a search by an index; a scan would grow with the backlog.
  const scans = plan.filter(({ detail }) => /^SCAN (conversation_queue|q|waiting)\b/.test(detail));
  expect(scans).toEqual([]);
  return plan.length;
}
