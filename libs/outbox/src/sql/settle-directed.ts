import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Notes what became of messages, from a JSON list of (message_id, reason or null); one that was returned meanwhile stays
 * returned. Gives back those that were settled. Parameters: list, slot. Touches: directed_message.
 */
export const settleDirected: Statement = {
  name: 'settle-directed',
  postgres: `update directed_message d set settled_at = ${NOW_MS.postgres}, reason = s.reason,
      state = case when s.reason is null then 'delivered' else 'returned' end
    from json_to_recordset($1::json) as s(message_id uuid, reason text)
    where d.message_id = s.message_id and d.slot = $2 and d.state = 'queued' returning d.message_id`,
  sqlite: `update directed_message set settled_at = ${NOW_MS.sqlite}, reason = s.reason,
      state = case when s.reason is null then 'delivered' else 'returned' end
    from (select value ->> 'message_id' as message_id, value ->> 'reason' as reason from jsonb_each(?1)) as s
    where directed_message.message_id = s.message_id and slot = ?2 and state = 'queued'
    returning directed_message.message_id`,
};
