import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Messages older than an age, oldest first, and whether they are `past`: their turn is gone, or they never had one. As long
 * as a turn is kept, what it answered and what it said is kept. Parameters: created_at to go on from, age in ms, limit.
 * Touches: message, turn.
 */
const find = (from: string, before: string, limit: string) => `
    select m.tenant_id, m.conversation_key, m.message_seq, m.created_at, coalesce((
      select false from turn t where t.tenant_id = m.tenant_id and t.turn_id = m.turn_id limit 1), true) as past
    from message m where m.created_at >= ${from} and m.created_at < ${before} order by m.created_at limit ${limit}`;

export const findOldMessages: Statement = {
  name: 'find-old-messages',
  postgres: find('$1::bigint', `(select ${NOW_MS.postgres} - $2::bigint)`, '$3'),
  sqlite: find('?1', `${NOW_MS.sqlite} - ?2`, '?3'),
};

/** Deletes messages and returns them. Takes a JSON list of {tenant_id, conversation_key, message_seq}. Touches: message. */
export const deleteMessages: Statement = {
  name: 'delete-messages',
  postgres: `
    delete from message m
    using json_to_recordset($1::json) as x(tenant_id uuid, conversation_key text, message_seq bigint)
    where m.tenant_id = x.tenant_id and m.conversation_key = x.conversation_key and m.message_seq = x.message_seq
    returning m.message_seq`,
  sqlite: `
    delete from message where (tenant_id, conversation_key, message_seq) in
      (select value ->> 'tenant_id', value ->> 'conversation_key', value ->> 'message_seq' from jsonb_each(?1))
    returning message_seq`.trim(),
};
