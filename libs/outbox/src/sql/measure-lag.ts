import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Counting stops here: beyond it the figure only says "far behind", and the count must not cost a scan of what is kept. */
export const MAX_COUNTED_ROWS = 10_000;

/**
 * How far a reader at a position is behind, and what holds all readers back. `stall_ms`: age of the first row that is not
 * readable yet. `writer_ms`: age of the oldest open transaction that has written (on the whole server; a role without
 * `pg_read_all_stats` sees its own). Parameters: xid, id. Touches: outbox.
 */
export const measureLag: Statement = {
  name: 'measure-lag',
  postgres: `
    select (select ${NOW_MS.postgres} - occurred_at from outbox
        where xid >= pg_snapshot_xmin(pg_current_snapshot()) order by xid, id limit 1) as stall_ms,
      (select (extract(epoch from clock_timestamp() - min(began)) * 1000)::bigint from (
        select xact_start as began from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
        union all select prepared from pg_prepared_xacts) as writers) as writer_ms,
      (select count(*) from (
        select from outbox where (xid, id) > ($1::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid, id limit ${MAX_COUNTED_ROWS}) as behind) as rows_behind`,
  sqlite: `
    select null as stall_ms, null as writer_ms,
      (select count(*) from (
        select 1 from outbox where id > cast(?2 as integer) order by id limit ${MAX_COUNTED_ROWS})) as rows_behind`,
};
