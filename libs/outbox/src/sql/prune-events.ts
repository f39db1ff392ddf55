import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Deletes those of the oldest readable rows that are past an age, one bounded batch, and returns the places of what it deleted
 * (Postgres: the last place, and the count). It looks at the first rows by place alone, so with nothing to delete it does not
 * walk through what is kept, and no index by age has to be kept by every event; rows that a process with a fast clock wrote
 * stay among them until they are old. What an edge that is alive has not passed yet is kept too, but not beyond twice the
 * age: one edge that hangs must not fill the disk of all. Parameters: age in ms, limit. Touches: outbox, edge_slot, outbox_epoch.
 */
export const pruneEventRows: Statement = {
  name: 'prune-events',
  postgres: `
    with slowest as (
      select s.xid, s.id from edge_slot s join outbox_epoch e on e.epoch = s.epoch
      where s.expires_at > ${NOW_MS.postgres} order by s.xid, s.id limit 1),
    oldest as materialized (
      select ctid as at, xid, id, ${NOW_MS.postgres} - occurred_at as age_ms from outbox
      where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid, id limit $2),
    gone as (
      delete from outbox where ctid = any(array(
        select at from oldest where age_ms > $1::bigint and (age_ms > 2 * $1::bigint
          or not exists (select from slowest s where (oldest.xid, oldest.id) > (s.xid, s.id)))))
      returning xid, id)
    select xid::text as xid, id::text as id, count(*) over () as deleted from gone
    order by gone.xid desc, gone.id desc limit 1`,
  sqlite: `
    delete from outbox where id in (
      select id from (select id, ${NOW_MS.sqlite} - occurred_at as age_ms from outbox order by id limit ?2)
      where age_ms > ?1 and (age_ms > 2 * ?1 or id <= coalesce((
        select min(s.id) from edge_slot s join outbox_epoch e on e.epoch = s.epoch
        where s.expires_at > ${NOW_MS.sqlite}), 9223372036854775807)))
    returning '0' as xid, cast(id as text) as id`.trim(),
};

/**
 * Notes how far retention has come, in the transaction that deletes. It only goes up: what an earlier batch left may lie
 * before what it deleted. Parameters: xid, id. Touches: outbox_cursor.
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
