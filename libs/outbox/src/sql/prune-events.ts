import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Deletes the oldest readable rows past an age, one bounded batch, and returns the places of what it deleted (Postgres: the
 * last place, and the count). By age and not by position: with nothing to delete it must not walk through everything that is
 * kept. What an edge that is alive has not passed yet is kept too, but not beyond twice the age: one edge that hangs must
 * not fill the disk of all. The clock stands in a subselect, because a column that is compared with a volatile function is
 * not looked up in its index. Parameters: age in ms, limit. Touches: outbox, edge_slot, outbox_epoch.
 */
export const pruneEventRows: Statement = {
  name: 'prune-events',
  postgres: `
    with slowest as (
      select s.xid, s.id from edge_slot s join outbox_epoch e on e.epoch = s.epoch
      where s.expires_at > ${NOW_MS.postgres} order by s.xid, s.id limit 1),
    old as (
      select id from outbox o
      where occurred_at < (select ${NOW_MS.postgres} - $1::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
        and (occurred_at < (select ${NOW_MS.postgres} - 2 * $1::bigint)
          or not exists (select from slowest s where (o.xid, o.id) > (s.xid, s.id)))
      order by occurred_at limit $2),
    gone as (delete from outbox o using old where o.id = old.id returning o.xid, o.id)
    select xid::text as xid, id::text as id, count(*) over () as deleted from gone
    order by gone.xid desc, gone.id desc limit 1`,
  sqlite: `
    delete from outbox where id in (
      select id from outbox where occurred_at < ${NOW_MS.sqlite} - ?1
        and (occurred_at < ${NOW_MS.sqlite} - 2 * ?1 or id <= coalesce((
          select min(s.id) from edge_slot s join outbox_epoch e on e.epoch = s.epoch
          where s.expires_at > ${NOW_MS.sqlite}), 9223372036854775807))
      order by occurred_at limit ?2)
    returning '0' as xid, cast(id as text) as id`.trim(),
};

/**
 * Notes how far retention has come, in the transaction that deletes. It only goes up: the last place of a later batch may
 * lie before that of an earlier one. Parameters: xid, id. Touches: outbox_cursor.
 */
export const markPruned: Statement = {
  name: 'mark-pruned',
  postgres: `
    insert into outbox_cursor as c (consumer, xid, id, updated_at)
    values ('#pruned', $1::xid8, $2::bigint, ${NOW_MS.postgres})
    on conflict (consumer) do update set xid = excluded.xid, id = excluded.id, updated_at = excluded.updated_at
    where (excluded.xid, excluded.id) > (c.xid, c.id)`,
  sqlite: `
    insert into outbox_cursor as c (consumer, xid, id, updated_at)
    values ('#pruned', cast(?1 as integer), cast(?2 as integer), ${NOW_MS.sqlite})
    on conflict (consumer) do update set xid = excluded.xid, id = excluded.id, updated_at = excluded.updated_at
    where excluded.id > c.id`.trim(),
};
