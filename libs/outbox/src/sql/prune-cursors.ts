import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Forgets consumers that have not moved for so long, but never how far retention has come (`#…`). Parameters: age in ms,
 * limit. Touches: outbox_cursor.
 */
export const pruneCursorRows: Statement = {
  name: 'prune-cursors',
  postgres: `delete from outbox_cursor where consumer in (
      select consumer from outbox_cursor
      where consumer not like '#%' and updated_at < (select ${NOW_MS.postgres} - $1::bigint) limit $2)
    returning consumer`,
  sqlite: `delete from outbox_cursor where consumer in (
      select consumer from outbox_cursor
      where consumer not like '#%' and updated_at < ${NOW_MS.sqlite} - ?1 limit ?2)
    returning consumer`,
};
