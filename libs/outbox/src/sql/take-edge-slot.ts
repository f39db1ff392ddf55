import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Makes a process the holder of an edge slot and says where it goes on: at the head if the slot is new, else where its
 * holder before it had come. Parameters: slot, holder, time to live in ms. Touches: edge_slot, outbox_epoch.
 */
export const takeEdgeSlot: Statement = {
  name: 'take-edge-slot',
  postgres: `insert into edge_slot as s (slot, holder, expires_at, epoch, xid, id)
    select $1, $2, ${NOW_MS.postgres} + $3::bigint, epoch, pg_snapshot_xmin(pg_current_snapshot()), 0 from outbox_epoch
    on conflict (slot) do update set holder = excluded.holder, expires_at = excluded.expires_at
    returning epoch, xid::text as xid, id::text as id`,
  sqlite: `insert into edge_slot as s (slot, holder, expires_at, epoch, xid, id)
    select ?1, ?2, ${NOW_MS.sqlite} + ?3, epoch, 0,
      coalesce((select seq from sqlite_sequence where name = 'outbox'), 0) from outbox_epoch where true
    on conflict (slot) do update set holder = excluded.holder, expires_at = excluded.expires_at
    returning epoch, cast(xid as text) as xid, cast(id as text) as id`,
};
