import { createPostgresDatabase, type TestDatabase } from '@tyrum/test-services';
import { PostgresStateStore } from '../postgres-state-store';
import type { Statement } from '../state-store';
import { advanceConversations } from './sql/advance-conversations';
import { claimAllDue } from './sql/claim-all-due';
import { claimConversations, nextDue } from './sql/claim-conversations';
import { holdConversations } from './sql/hold-conversations';
import { loadOpenTurns, loadSteps } from './sql/load-open-turns';
import { findTurn } from './sql/read-turns';
import { updateTurns } from './sql/update-turns';
import { upsertSteps } from './sql/upsert-steps';

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly Plan[];
}

const TENANT = '00000000-0000-4000-8000-000000000001';
const GROWING = new Set(['turn', 'step', 'conversation_queue', 'conversation']);
const sql = (postgres: string): Statement => ({ name: 'test', postgres, sqlite: '' });

/**
 * Postgres plans a prepared statement once and for all until the table's statistics change, which takes autovacuum a minute or more.
 * What it plans while a table is young is what runs while the table grows.
 */
describe('plans made before a table has statistics', () => {
  let database: TestDatabase;
  let store: PostgresStateStore;

  beforeEach(async () => {
    database = await createPostgresDatabase();
    store = await PostgresStateStore.open({ url: database.url, poolSize: 2 });
  });

  afterEach(async () => {
    await store.close();
    await database.drop();
  });

  /** Where a statement's plan for all parameters reads tables that grow: `table.index`, or `table` alone for a walk through all of it. */
  async function reads({ postgres }: Statement): Promise<string[]> {
    const params = Math.max(0, ...[...(postgres as string).matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
    const nulls = params > 0 ? `(${Array.from({ length: params }, () => 'null').join(', ')})` : '';
    const [row] = await store.transaction(async (tx) => {
      await tx.query(sql('set local plan_cache_mode = force_generic_plan'));
      await tx.query(sql(`prepare looked_at as ${postgres as string}`));
      const rows = await tx.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        sql(`explain (format json) execute looked_at${nulls}`),
      );
      await tx.query(sql('deallocate looked_at'));
      return rows;
    });
    const walk = (plan: Plan): string[] => [
      ...(GROWING.has(plan['Relation Name'] ?? '') && plan['Node Type'] !== 'ModifyTable'
        ? [[plan['Relation Name'], plan['Index Name']].filter(Boolean).join('.')]
        : []),
      ...(plan.Plans ?? []).flatMap(walk),
    ];
    return walk(row?.['QUERY PLAN'][0].Plan as Plan);
  }

  async function fill(rows: number): Promise<void> {
    const numbers = `generate_series(1, ${rows}) n`;
    for (const text of [
      `insert into conversation_queue (tenant_id, conversation_key, state)
        select '${TENANT}', 'agent:default:dm:' || n, 'idle' from ${numbers}`,
      `insert into turn (tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, status, input, created_at)
        select '${TENANT}', gen_random_uuid(), 'agent:default:dm:' || n, 1, 'workflow', 'test', 'queued', '{}', n from ${numbers}`,
      `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, started_at)
        select tenant_id, turn_id, 0, '{}', 'read', 'running', 1, 0 from turn on conflict do nothing`,
    ]) {
      await store.execute(sql(text));
    }
  }

  // Between 100 and 200 the shorter keys of one index are in one page, and the longer ones of another in two.
  it.each([0, 10, 60, 100, 130, 150, 180, 250, 2_000])(
    'looks rows up by their key, with %i rows there',
    async (rows) => {
      await fill(rows);
      expect(await reads(updateTurns)).toEqual(['turn.turn_pkey']);
      expect(await reads(findTurn)).toEqual(['turn.turn_pkey']);
      expect(await reads(loadSteps)).toEqual(['step.step_pkey']);
      expect(await reads(loadOpenTurns)).toEqual(['conversation_queue.conversation_queue_pkey', 'turn.turn_by_place']);
      expect(await reads(advanceConversations)).toEqual(['conversation_queue.conversation_queue_pkey']);
      expect(await reads(holdConversations)).toEqual(['conversation_queue.conversation_queue_pkey']);
      const claim = await reads(claimConversations);
      expect(claim.filter((read) => read.startsWith('turn'))).toEqual(['turn.turn_by_place']);
      const all = await reads(claimAllDue);
      expect(all.filter((read) => read.startsWith('turn'))).toEqual(['turn.turn_by_place']);
      const byDueTime = ['conversation_queue.conversation_queue_leased', 'conversation_queue.conversation_queue_ready'];
      const laneBefore = 'conversation_queue.conversation_queue_lane';
      expect([...new Set(await reads(nextDue))].sort()).toEqual([laneBefore, ...byDueTime]);
      expect((await reads(nextDue)).filter((read) => read === laneBefore)).toHaveLength(1);
      for (const read of [...claim, ...all, ...(await reads(upsertSteps))]) expect(read).toContain('.');
    },
  );
});
