import type { StateStore, Statement, Tx } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { Position } from './outbox-event';
import { OutboxReader } from './outbox-reader';
import { measureLag } from './sql/measure-lag';
import { readEventRows } from './sql/read-events';
import { pruneEventRows } from './sql/prune-events';

/** A million takes minutes on a small machine (`npm run test:million-events`); the shape of the plans does not depend on it. */
const ROWS = Number(process.env.TYRUM_TEST_OUTBOX_ROWS ?? 100_000);
const FEW = 1_000;

const columns = `(tenant_id, events, event_id, type, scope_kind, payload, occurred_at)`;
const row = `'00000000-0000-4000-8000-000000000001',
      '[{"event_id":"00000000-0000-4000-9000-000000000001","type":"turn.queued","scope_kind":"global","payload":{}}]'`;
const fill: Statement = {
  name: 'fill',
  postgres: `insert into outbox ${columns}
    select ${row}, null, null, null, '',
      (extract(epoch from clock_timestamp()) * 1000)::bigint from generate_series(1, $1::int)`,
  sqlite: `insert into outbox ${columns}
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
    select ${row}, '', '', 'global', '',
      cast(unixepoch('subsec') * 1000 as integer) from n`,
};
const analyze: Statement = { name: 'analyze', postgres: 'analyze outbox', sqlite: 'analyze outbox' };

interface Plan {
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

interface Explained {
  readonly 'QUERY PLAN': [{ Plan: Plan }] | string;
}

describeOnBothDialects('the cost of the outbox, however much is kept', (stores) => {
  /** Rows of `outbox` that Postgres touched for a statement, by the plan that it keeps for one that is prepared. */
  async function touched(store: StateStore, { postgres }: Statement, params: (string | number)[]): Promise<number> {
    const run = (tx: Tx, text: string) => tx.query<Explained>({ name: 'explain', postgres: text, sqlite: '' });
    const [row] = await store.transaction(async (tx) => {
      await run(tx, 'set local plan_cache_mode = force_generic_plan');
      await run(tx, `prepare looked_at as ${postgres as string}`);
      const given = params.map((param) => `'${param}'`).join(', ');
      const explained = await run(tx, `explain (analyze, format json) execute looked_at(${given})`);
      await run(tx, 'deallocate looked_at');
      return explained;
    });
    const answer = row?.['QUERY PLAN'];
    const [{ Plan: plan }] = (typeof answer === 'string' ? JSON.parse(answer) : answer) as [{ Plan: Plan }];
    const count = (node: Plan): number =>
      (node['Relation Name'] === 'outbox'
        ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
        : 0) + (node.Plans ?? []).reduce((sum, inner) => sum + count(inner), 0);
    return count(plan);
  }

  /** What SQLite would scan instead of searching. */
  async function scans(
    store: StateStore,
    { sqlite }: Pick<Statement, 'sqlite'>,
    params: (string | number)[],
  ): Promise<string[]> {
    return (await plan(store, { sqlite }, params)).filter((detail) => /^SCAN outbox\b(?!_)/.test(detail));
  }

  async function plan(store: StateStore, { sqlite }: Pick<Statement, 'sqlite'>, params: (string | number)[]) {
    const explain = { name: 'explain', postgres: '', sqlite: `explain query plan ${sqlite as string}` };
    const steps = await store.execute<{ detail: string }>(explain, params);
    return steps.map(({ detail }) => detail);
  }

  it.each([
    ['with', true],
    ['without', false],
  ])('reads as many rows as it hands out, at the end, in the middle and far back, %s statistics', async (_, known) => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const start = await reader.head();
    await store.execute(fill, [FEW]);
    const middle = await readable(reader, start);
    await store.execute(fill, [known ? ROWS : FEW]);
    if (known) await store.execute(analyze);
    const end = await readable(reader, middle);
    await store.execute(fill, [10]);
    await readable(reader, end);
    for (const [position, expected] of [
      [start, 100],
      [middle, 100],
      [end, 10],
    ] as const) {
      expect((await reader.readAfter(position, 100)).events).toHaveLength(expected);
      const params = [position.xid, position.id, 100, position.epoch, position.id];
      if (store.dialect === 'postgres') {
        expect(await touched(store, readEventRows, params)).toBeLessThanOrEqual(expected + 1);
      } else {
        expect(await scans(store, readEventRows, params)).toEqual([]);
      }
    }
    const lag = [middle.xid, middle.id];
    const prune = [3_600_000, 100];
    if (store.dialect === 'postgres') {
      expect(await touched(store, measureLag, lag)).toBeLessThanOrEqual(10_001);
      expect(await touched(store, pruneEventRows, prune)).toBeLessThanOrEqual(100);
    } else {
      expect(await scans(store, measureLag, lag)).toEqual([]);
      // It walks in the order of the rows, and so no further than the limit.
      expect(await plan(store, pruneEventRows, prune)).not.toContainEqual(expect.stringContaining('TEMP B-TREE'));
    }
  });

  /** The place after everything, once all of it may be read. */
  async function readable(reader: OutboxReader, from: Position): Promise<Position> {
    await eventually(async () => expect((await reader.readAfter(from, 1)).waiting).toBe(false));
    for (let position = from; ;) {
      const page = await reader.readAfter(position, 10_000);
      if (page.events.length === 0) return position;
      position = page.position;
    }
  }
});
