import type { Statement } from '@tyrum/statestore';

/**
 * Rows after a position, in order. On Postgres only those of transactions older than every one still open: a later read
 * cannot find a row before one that was already handed out. Parameters: xid, id, limit. Touches: outbox.
 */
export const readEventRows: Statement = {
  name: 'read-events',
  postgres: `
    select id::text as id, xid::text as xid, tenant_id, event_id, type, scope_kind, scope_id, conversation_key,
      conversation_seq, turn_id, payload, occurred_at
    from outbox
    where (xid, id) > ($1::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
    order by xid, id limit $3`,
  sqlite: `
    select cast(id as text) as id, '0' as xid, tenant_id, event_id, type, scope_kind, scope_id, conversation_key,
      conversation_seq, turn_id, payload, occurred_at
    from outbox where id > cast(?2 as integer) and ?1 is not null order by id limit ?3`,
};

/**
 * Where a reader that starts now begins: before every row that is not yet readable, so that a transaction that is open now and
 * commits later is not missed. Touches: outbox, outbox_epoch.
 */
export const findHead: Statement = {
  name: 'find-head',
  postgres: `select epoch, pg_snapshot_xmin(pg_current_snapshot())::text as xid, '0' as id from outbox_epoch`,
  sqlite: `select epoch, '0' as xid, cast(coalesce((select seq from sqlite_sequence where name = 'outbox'), 0) as text) as id
    from outbox_epoch`,
};

/** How far retention has come, if it ever ran. Touches: outbox_cursor. */
export const findPruned: Statement = {
  name: 'find-pruned',
  postgres: `select xid::text as xid, id::text as id from outbox_cursor where consumer = '#pruned'`,
  sqlite: `select cast(xid as text) as xid, cast(id as text) as id from outbox_cursor where consumer = '#pruned'`,
};

/** Age of the oldest row that readers may not take yet, in milliseconds; null when there is none. Touches: outbox. */
export const findStall: Statement = {
  name: 'find-stall',
  postgres: `select (extract(epoch from clock_timestamp()) * 1000)::bigint - min(occurred_at) as stall_ms from outbox
    where xid >= pg_snapshot_xmin(pg_current_snapshot())`,
  sqlite: `select null as stall_ms`,
};
