import type { Statement } from '../../state-store';

/**
 * Sets what a conversation does with inputs that come while a turn runs. The mode stands with the conversation for whoever
 * looks and in the hot row for accepts and claims. Parameters: tenant, key, mode, cap or null, overflow. Touches:
 * conversation, conversation_queue.
 */
export const setQueue: Statement = {
  name: 'set-queue',
  postgres: `
    with q as (update conversation_queue set queue_mode = $3, queue_cap = $4, queue_overflow = $5
      where tenant_id = $1 and conversation_key = $2)
    update conversation set queue_mode = $3 where tenant_id = $1 and conversation_key = $2`,
  sqlite: [
    `update conversation_queue set queue_mode = ?3, queue_cap = ?4, queue_overflow = ?5
      where tenant_id = ?1 and conversation_key = ?2`,
    `update conversation set queue_mode = ?3 where tenant_id = ?1 and conversation_key = ?2 and ?4 is ?4 and ?5 is ?5`,
  ],
};
