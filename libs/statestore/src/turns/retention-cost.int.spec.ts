import type { StateStore, Statement } from '../state-store';
import { describeOnBothDialects } from '../testing';
import { findIdleConversations } from './sql/sweep-conversations';
import { findOldMessages } from './sql/sweep-messages';
import { findOldTurns, findStepsWithoutTurn, nextTenantWithOldTurns } from './sql/sweep-turns';
import { findOldWaits } from './sql/sweep-waits';
import { TurnRetention } from './turn-retention';

const ROWS = 20_000;
const LIMIT = 50;
const DAY_MS = 24 * 60 * 60 * 1_000;
const TENANT = '00000000-0000-4000-8000-000000000001';
const ZERO = '00000000-0000-0000-0000-000000000000';

const now = {
  postgres: '(extract(epoch from clock_timestamp()) * 1000)::bigint',
  sqlite: `cast(unixepoch('subsec') * 1000 as integer)`,
};
const id = { postgres: 'gen_random_uuid()', sqlite: 'lower(hex(randomblob(16)))' };
const series = {
  postgres: 'generate_series(1, $1::int) as n(i)',
  sqlite: '(with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1) select i from n) as n',
};

const fills = (['turn', 'step', 'message', 'wait', 'conversation_queue'] as const).map((table): Statement => {
  const fill = (dialect: 'postgres' | 'sqlite') => {
    const [clock, uuid] = [now[dialect], id[dialect]];
    const columns = {
      turn: `(tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, status, input, created_at, finished_at)
        select '${TENANT}', ${uuid}, 'agent:default:x:dm:' || (i % 100), i, 'workflow', 'workflow', 'succeeded', '{}', ${clock}, ${clock}`,
      step: `(tenant_id, turn_id, step_index, action, effect, status, attempts, started_at)
        select '${TENANT}', ${uuid}, 0, '{}', 'read', 'succeeded', 1, ${clock}`,
      message: `(tenant_id, conversation_key, message_seq, message_id, role, parts, created_at)
        select '${TENANT}', 'agent:default:main', i, 'm' || i, 'user', '[]', ${clock}`,
      wait: `(tenant_id, kind, wait_id, created_at) select '${TENANT}', 'signal', 's' || i, ${clock}`,
      conversation_queue: `(tenant_id, conversation_key, state, last_turn_seq) select '${TENANT}', 'agent:default:x:dm:' || i, 'idle', 1`,
    };
    return `insert into ${table} ${columns[table]} from ${series[dialect]}`;
  };
  return { name: `fill-${table}`, postgres: fill('postgres'), sqlite: fill('sqlite') };
});

interface Plan {
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

describeOnBothDialects('the cost of a look for what is past its time', (stores) => {
  let store: StateStore;
  beforeEach(async () => {
    store = await stores().open();
    for (const fill of fills) await store.execute(fill, [ROWS]);
    const analyze = 'analyze';
    await store.execute({ name: 'analyze', postgres: analyze, sqlite: analyze });
  }, 60_000);

  /** Rows that Postgres touched for a statement. */
  async function touched({ postgres }: Statement, params: readonly (string | number)[]): Promise<number> {
    const literal = postgres.replace(/\$(\d)/g, (_, n: string) => `'${params[Number(n) - 1]}'`);
    const text = `explain (analyze, format json) ${literal}`;
    const [row] = await store.execute<{ 'QUERY PLAN': [{ Plan: Plan }] | string }>({
      name: 'x',
      postgres: text,
      sqlite: '',
    });
    const answer = row?.['QUERY PLAN'];
    const [{ Plan: plan }] = (typeof answer === 'string' ? JSON.parse(answer) : answer) as [{ Plan: Plan }];
    const count = (node: Plan): number =>
      (node['Relation Name']
        ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
        : 0) + (node.Plans ?? []).reduce((sum, inner) => sum + count(inner), 0);
    return count(plan);
  }

  /** What SQLite would scan from end to end, and what it would sort. */
  async function scans({ sqlite }: Statement, params: readonly (string | number)[]): Promise<string[]> {
    const explain = { name: 'explain', postgres: '', sqlite: `explain query plan ${sqlite as string}` };
    const plan = await store.execute<{ detail: string }>(explain, [...params]);
    return plan
      .map(({ detail }) => detail)
      .filter((d) => /^SCAN (turn|step|message|wait|q|m|w|t|s)$|TEMP B-TREE/.test(d));
  }

  it.each<[string, Statement, (string | number)[], number]>([
    ['turns, none of them old', findOldTurns, [TENANT, 0, ZERO, DAY_MS, LIMIT], 1],
    ['turns, all of them old', findOldTurns, [TENANT, 0, ZERO, -DAY_MS, LIMIT], 3 * LIMIT],
    ['tenants', nextTenantWithOldTurns, [ZERO, DAY_MS], 5],
    ['steps', findStepsWithoutTurn, [TENANT, ZERO, LIMIT], 3 * LIMIT],
    ['messages, none of them old', findOldMessages, [0, DAY_MS, LIMIT], 1],
    ['messages, all of them old', findOldMessages, [0, -DAY_MS, LIMIT], 2 * LIMIT],
    ['waits, none of them old', findOldWaits, [0, DAY_MS, LIMIT], 1],
    ['waits, all of them old', findOldWaits, [0, -DAY_MS, LIMIT], 2 * LIMIT],
    ['conversations', findIdleConversations, [TENANT, '', DAY_MS, LIMIT], 4 * LIMIT],
  ])('follows the batch and not the table: %s', async (_name, statement, params, atMost) => {
    if (store.dialect === 'postgres') expect(await touched(statement, params)).toBeLessThanOrEqual(atMost);
    else expect(await scans(statement, params)).toEqual([]);
  });

  it('deletes in batches of no more than their limit', async () => {
    const walk = new TurnRetention(store).turns(-DAY_MS);
    const first = await walk.step(LIMIT);
    expect(first).toMatchObject({ deleted: { turn: LIMIT }, more: true });
    expect((await walk.step(LIMIT)).deleted['turn']).toBe(LIMIT);
  });

  it('takes no more steps at once than belong to a batch, but always a whole turn', async () => {
    const text = `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, started_at)
      select tenant_id, turn_id, n, '{}', 'read', 'succeeded', 1, 0 from
        (select tenant_id, turn_id from turn order by created_at, turn_id limit 3) t
        cross join (select 1 as n union all select 2 union all select 3) numbers`;
    await store.execute({ name: 'x', postgres: text, sqlite: text });
    const walk = new TurnRetention(store).turns(-DAY_MS);
    // Ten steps for each row of the batch are allowed: the first turn has three, so does each of the next two.
    expect((await walk.step(1)).deleted).toMatchObject({ turn: 1, step: 3 });
  });
});
