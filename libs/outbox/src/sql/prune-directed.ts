import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Forgets what was settled so long ago, one bounded batch. Parameters: age in ms, limit. Touches: directed_message. */
export const pruneDirectedRows: Statement = {
  name: 'prune-directed',
  postgres: `delete from directed_message where id in (
      select id from directed_message where settled_at < (select ${NOW_MS.postgres} - $1::bigint) order by settled_at limit $2)
    returning message_id`,
  sqlite: `delete from directed_message where id in (
      select id from directed_message where settled_at < ${NOW_MS.sqlite} - ?1 order by settled_at limit ?2)
    returning message_id`,
};
