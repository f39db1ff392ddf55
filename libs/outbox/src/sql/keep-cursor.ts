import { NOW_MS, type Statement } from '@tyrum/statestore';

const ending = `on conflict (consumer) do update set xid = excluded.xid, id = excluded.id, updated_at = excluded.updated_at`;

/** Writes down how far a consumer has come. Parameters: consumer, xid, id. Touches: outbox_cursor. */
export const saveCursorRow: Statement = {
  name: 'save-cursor',
  postgres: `insert into outbox_cursor (consumer, xid, id, updated_at)
    values ($1, $2::xid8, $3::bigint, ${NOW_MS.postgres}) ${ending}`,
  sqlite: `insert into outbox_cursor (consumer, xid, id, updated_at)
    values (?1, cast(?2 as integer), cast(?3 as integer), ${NOW_MS.sqlite}) ${ending}`,
};

/** How far a consumer has come. Parameter: consumer. Touches: outbox_cursor, outbox_epoch. */
export const findCursor: Statement = {
  name: 'find-cursor',
  postgres: `select epoch, xid::text as xid, id::text as id from outbox_cursor, outbox_epoch where consumer = $1`,
  sqlite: `select epoch, cast(xid as text) as xid, cast(id as text) as id from outbox_cursor, outbox_epoch
    where consumer = ?1`,
};
