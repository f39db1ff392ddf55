import { NOW_MS, type Statement } from '@tyrum/statestore';
import { MAX_COUNTED_ROWS } from './measure-lag';

/**
 * Every edge's place in the outbox: whether it is alive, how many rows lie behind its place that could be read, and how old the first of
 * them is. Parameter: how many edges at the most. Touches: edge_slot, outbox.
 */
export const listEdgeLags: Statement = {
  name: 'list-edge-lags',
  postgres: `
    select s.slot, s.expires_at > ${NOW_MS.postgres} as alive, behind.rows_behind, ${NOW_MS.postgres} - behind.oldest as behind_ms
    from (select * from edge_slot order by slot limit $1::bigint) s cross join lateral (
      select count(*) as rows_behind, min(occurred_at) as oldest from (
        select occurred_at from outbox where (xid, id) > (s.xid, s.id) and xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid, id limit ${MAX_COUNTED_ROWS}) as rows) as behind
    order by s.slot`,
  sqlite: `
    select s.slot, s.expires_at > ${NOW_MS.sqlite} as alive,
      (select count(*) from (select 1 from outbox where id > s.id limit ${MAX_COUNTED_ROWS})) as rows_behind,
      ${NOW_MS.sqlite} - (select occurred_at from outbox where id > s.id order by id limit 1) as behind_ms
    from (select * from edge_slot order by slot limit ?1) s order by s.slot`,
};
