import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Where a reader that starts now begins: before every row that is not yet readable, so that a transaction that is open now
 * and commits later is not missed. Touches: outbox, outbox_epoch.
 */
export const findHead: Statement = {
  name: 'find-head',
  postgres: `select epoch, pg_snapshot_xmin(pg_current_snapshot())::text as xid, '0' as id from outbox_epoch`,
  sqlite: `select epoch, '0' as xid,
      cast(coalesce((select seq from sqlite_sequence where name = 'outbox'), 0) as text) as id
    from outbox_epoch`,
};

/** Age of the oldest row that readers may not take yet, in milliseconds; null when there is none. Touches: outbox. */
export const findStall: Statement = {
  name: 'find-stall',
  postgres: `select ${NOW_MS.postgres} - min(occurred_at) as stall_ms from outbox
    where xid >= pg_snapshot_xmin(pg_current_snapshot())`,
  sqlite: `select null as stall_ms`,
};
