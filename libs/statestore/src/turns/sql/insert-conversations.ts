import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Inserts conversations that are not there yet, from a JSON list of {tenant_id, conversation_key, agent_key, channel,
 * account_key, container_kind, thread_id, title}, and returns the keys of those it made. Postgres'
 * text is a part of `beginConversations`, which has the list as `input`. Touches: conversation.
 */
const target = `insert into conversation (tenant_id, conversation_key, agent_key, channel, account_key, container_kind,
    thread_id, title, created_at, updated_at)`;
const ending = `on conflict (tenant_id, conversation_key) do nothing returning tenant_id, conversation_key`;

export const insertConversations: Statement = {
  name: 'insert-conversations',
  postgres: `${target}
    select tenant_id, conversation_key, agent_key, channel, account_key, container_kind, thread_id, title,
      ${NOW_MS.postgres}, ${NOW_MS.postgres}
    from input
    ${ending}`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'conversation_key', value ->> 'agent_key', value ->> 'channel',
      value ->> 'account_key', value ->> 'container_kind', value ->> 'thread_id', value ->> 'title',
      ${NOW_MS.sqlite}, ${NOW_MS.sqlite}
    from jsonb_each(?1) where true ${ending}`,
};
