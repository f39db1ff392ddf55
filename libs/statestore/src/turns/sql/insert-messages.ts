import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Appends messages from a JSON list of {tenant_id, conversation_key, message_seq, message_id, turn_id, role, parts,
 * metadata} and marks their conversations updated. Touches: message, conversation.
 */
const target = `insert into message (tenant_id, conversation_key, message_seq, message_id, turn_id, role, parts, metadata, created_at)`;

export const insertMessages: Statement = {
  name: 'insert-messages',
  postgres: `with input as (
      select * from json_to_recordset($1::json) as i(tenant_id uuid, conversation_key text, message_seq bigint,
        message_id text, turn_id uuid, role text, parts text, metadata text)),
    touched as (
      update conversation c set updated_at = ${NOW_MS.postgres}
      from (select distinct tenant_id, conversation_key from input) i
      where c.tenant_id = i.tenant_id and c.conversation_key = i.conversation_key)
    ${target}
    select tenant_id, conversation_key, message_seq, message_id, turn_id, role, parts, metadata, ${NOW_MS.postgres} from input`,
  sqlite: [
    `update conversation set updated_at = ${NOW_MS.sqlite}
      where (tenant_id, conversation_key) in
        (select value ->> 'tenant_id', value ->> 'conversation_key' from jsonb_each(?1))`,
    `${target}
      select value ->> 'tenant_id', value ->> 'conversation_key', value ->> 'message_seq', value ->> 'message_id',
        value ->> 'turn_id', value ->> 'role', value ->> 'parts', value ->> 'metadata', ${NOW_MS.sqlite}
      from jsonb_each(?1)`,
  ],
};
