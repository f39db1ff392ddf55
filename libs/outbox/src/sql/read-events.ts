import type { Statement } from '@tyrum/statestore';

/** A row of this statement. `id` and what follows are null when nothing follows the position; the others always stand. */
export interface EventRow {
  readonly is_foreign: boolean | number;
  readonly is_pruned: boolean | number;
  readonly is_waiting: boolean | number;
  readonly pruned_xid: string | null;
  readonly pruned_id: string | null;
  readonly id: string | null;
  readonly xid: string;
  readonly tenant_id: string;
  readonly events: string;
  readonly occurred_at: number;
}

/** What a process of the version before writes, one event a row, in columns. */
const single = (list: string, object: string, json: (text: string) => string) =>
  `${list}(${object}('event_id', o.event_id, 'type', o.type, 'scope_kind', o.scope_kind, 'scope_id', o.scope_id,
      'conversation_key', o.conversation_key, 'conversation_seq', o.conversation_seq, 'turn_id', o.turn_id,
      'payload', ${json(`nullif(o.payload, '')`)}))`;
const postgresSingle = single('json_build_array', 'json_build_object', (text) => `${text}::json`);
const sqliteSingle = single('json_array', 'json_object', (text) => `json(${text})`);

/**
 * Rows after a position, in order, and whether the position is still good for that, all in one snapshot: retention that
 * runs meanwhile either has taken nothing from this page or is seen. On Postgres only rows of transactions older than every
 * one still open are taken: a later read cannot find a row before one that was already handed out.
 *
 * `is_foreign`: the position is of another epoch, or lies ahead of everything. `is_pruned`: rows after it were deleted, the
 * last of them at `pruned_xid`, `pruned_id`. `is_waiting`: there are committed rows that must wait for an older transaction.
 * It looks at the last row alone, since `exists` over those rows is a walk through the whole table as long as there are no
 * statistics: Postgres then expects a third of all rows to be such.
 * Parameters: xid and id of the place between rows, limit, epoch, id of the position. Touches: outbox, outbox_cursor, outbox_epoch.
 */
export const readEventRows: Statement = {
  name: 'read-events',
  postgres: `
    select e.epoch <> $4 or ($1::xid8, $5::bigint) > (pg_snapshot_xmin(pg_current_snapshot()), 0) as is_foreign,
      coalesce((p.xid, p.id) > ($1::xid8, $2::bigint), false) as is_pruned,
      coalesce((select xid from outbox order by xid desc, id desc limit 1) >= pg_snapshot_xmin(pg_current_snapshot()), false)
        as is_waiting,
      p.xid::text as pruned_xid, p.id::text as pruned_id, o.id::text as id, o.xid::text as xid, o.tenant_id,
      coalesce(o.events, ${postgresSingle}::text) as events, o.occurred_at
    from outbox_epoch e
    left join outbox_cursor p on p.consumer = '#pruned'
    left join lateral (
      select * from outbox
      where (xid, id) > ($1::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
      order by xid, id limit $3) o on true
    order by o.xid, o.id`,
  sqlite: `
    select e.epoch <> ?4 or cast(?5 as integer) > coalesce((select seq from sqlite_sequence where name = 'outbox'), 0)
        as is_foreign,
      coalesce(p.id > cast(?2 as integer), 0) as is_pruned, 0 as is_waiting,
      cast(p.xid as text) as pruned_xid, cast(p.id as text) as pruned_id, cast(o.id as text) as id, '0' as xid,
      o.tenant_id, coalesce(o.events, ${sqliteSingle}) as events, o.occurred_at
    from outbox_epoch e
    left join outbox_cursor p on p.consumer = '#pruned'
    left join (select * from outbox where id > cast(?2 as integer) order by id limit ?3) o on true
    order by o.id`,
};
