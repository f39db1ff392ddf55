import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Deletes the oldest readable rows past an age, one bounded batch, and returns the last place it deleted. Parameters: age in
 * ms, limit. Touches: outbox.
 */
export const pruneEventRows: Statement = {
  name: 'prune-events',
  postgres: `
    with old as (
      select xid, id from outbox
      where xid < pg_snapshot_xmin(pg_current_snapshot()) and occurred_at < ${NOW_MS.postgres} - $1::bigint
      order by xid, id limit $2),
    gone as (delete from outbox o using old where o.xid = old.xid and o.id = old.id returning o.xid, o.id)
    select xid::text as xid, id::text as id, count(*) over () as deleted from gone order by gone.xid desc, gone.id desc limit 1`,
  sqlite: `
    delete from outbox where id in (
      select id from outbox where occurred_at < ${NOW_MS.sqlite} - ?1 order by id limit ?2)
    returning '0' as xid, cast(id as text) as id`.trim(),
};
