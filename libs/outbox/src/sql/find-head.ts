import type { Statement } from '@tyrum/statestore';

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
