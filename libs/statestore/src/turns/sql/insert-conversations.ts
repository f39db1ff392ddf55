import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Inserts conversations that are not there yet, from a JSON list of {tenant_id, conversation_key, agent_key, channel,
 * account_key, container_kind, thread_id, title}, and returns the keys of those it made. Touches: conversation.
 */
const target = `insert into conversation (tenant_id, conversation_key, agent_key, channel, account_key, container_kind,
    thread_id, title, created_at, updated_at)`;
const ending = `on conflict (tenant_id, conversation_key) do nothing returning tenant_id, conversation_key`;

/** Where Postgres finds the rows. */
export const RECORDS = `json_to_recordset($1::json) as input(tenant_id uuid, conversation_key text, agent_key text, channel text,
      account_key text, container_kind text, thread_id text, title text)`;

export const insertConversations: Statement = {
  name: 'insert-conversations',
  postgres: `${target}
    select tenant_id, conversation_key, agent_key, channel, account_key, container_kind, thread_id, title,
      ${NOW_MS.postgres}, ${NOW_MS.postgres}
    from ${RECORDS}
    ${ending}`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'conversation_key', value ->> 'agent_key', value ->> 'channel',
      value ->> 'account_key', value ->> 'container_kind', value ->> 'thread_id', value ->> 'title',
      ${NOW_MS.sqlite}, ${NOW_MS.sqlite}
    from json_each(?1) where true ${ending}`,
};
