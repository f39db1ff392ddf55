import type { Statement } from '../../state-store';

/**
 * Columns of a conversation with its message count and its last message (JSON {role, parts}). Counted from the first message
 * that retention has left.
 */
const view = `c.*, coalesce(q.last_message_seq + 1 - (select min(m.message_seq) from message m
      where m.tenant_id = c.tenant_id and m.conversation_key = c.conversation_key), 0) as message_count,
    (select m.role from message m where m.tenant_id = c.tenant_id and m.conversation_key = c.conversation_key
      order by m.message_seq desc limit 1) as last_role,
    (select m.parts from message m where m.tenant_id = c.tenant_id and m.conversation_key = c.conversation_key
      order by m.message_seq desc limit 1) as last_parts
  from conversation c join conversation_queue q using (tenant_id, conversation_key)`;

/** One conversation. Parameters: tenant, key. Touches: conversation, conversation_queue, message. */
export const findConversation: Statement = {
  name: 'find-conversation',
  postgres: `select ${view} where c.tenant_id = $1 and c.conversation_key = $2`,
  sqlite: `select ${view} where c.tenant_id = ?1 and c.conversation_key = ?2`,
};

const filters = (p: (n: number) => string, named: string) => `where c.tenant_id = ${p(1)}${named}
    and (${p(2)} is null or c.agent_key = ${p(2)}) and (${p(3)} is null or c.channel = ${p(3)})
    and ((c.archived_at is not null) = ${p(4)})
    and (${p(5)} is null or (c.updated_at, c.conversation_key) < (${p(5)}, ${p(6)}))
  order by c.updated_at desc, c.conversation_key desc limit ${p(7)}`;

/**
 * A page of conversations, the last updated first. Parameters: tenant, agent or null, channel or null, archived, the last
 * page's last updated_at or null and key, limit. Touches: conversation, conversation_queue, message.
 */
export const listConversations: Statement = {
  name: 'list-conversations',
  postgres: `select ${view} ${filters((n) => ['$1', '$2::text', '$3::text', '$4::boolean', '$5::bigint', '$6::text', '$7'][n - 1] ?? '', ' and c.updated_at > 0')}`,
  sqlite: `select ${view} ${filters((n) => `?${n}`, '')}`,
};

/** The last messages of a conversation, newest first. Parameters: tenant, key, limit. Touches: message. */
export const listMessages: Statement = {
  name: 'list-messages',
  postgres: 'select * from message where tenant_id = $1 and conversation_key = $2 order by message_seq desc limit $3',
  sqlite: 'select * from message where tenant_id = ?1 and conversation_key = ?2 order by message_seq desc limit ?3',
};

/**
 * Removes a conversation and its messages. Its hot row stays: the lease token must go on growing if the key is used again,
 * because workspaces refuse lower ones. Its turns stay until retention takes them. Parameters: tenant, key. Touches:
 * message, conversation_queue, conversation.
 */
export const deleteConversation: Statement = {
  name: 'delete-conversation',
  postgres: `
    with m as (delete from message where tenant_id = $1 and conversation_key = $2),
      q as (update conversation_queue set last_message_seq = 0 where tenant_id = $1 and conversation_key = $2)
    delete from conversation where tenant_id = $1 and conversation_key = $2`,
  sqlite: [
    'delete from message where tenant_id = ?1 and conversation_key = ?2',
    'update conversation_queue set last_message_seq = 0 where tenant_id = ?1 and conversation_key = ?2',
    'delete from conversation where tenant_id = ?1 and conversation_key = ?2',
  ],
};
