import type { Statement } from '../../state-store';
import { OPEN, openFrom } from './load-open-turns';

/** One turn by id. Parameters: tenant, turn. Touches: turn. */
export const findTurn: Statement = {
  name: 'find-turn',
  postgres: 'select * from turn where tenant_id = $1 and turn_id = $2',
  sqlite: 'select * from turn where tenant_id = ?1 and turn_id = ?2',
};

/**
 * The turns of a tenant in some states (a JSON list) that were made before a place, newest first. The place is always given, and
 * the beginning is one after all turns: with a condition that may be off no plan would begin its walk there. Parameters: tenant,
 * states, the place (creation, id), limit. Touches: turn.
 */
export const listTurns: Statement = {
  name: 'list-turns',
  postgres: `select * from turn where tenant_id = $1 and created_at > 0 and status in (select json_array_elements_text($2::json))
    and (created_at, turn_id) < ($3::bigint, $4::uuid) order by created_at desc, turn_id desc limit $5`,
  sqlite: `select * from turn where tenant_id = ?1 and status in (select value from jsonb_each(?2))
    and (created_at, turn_id) < (?3, ?4) order by created_at desc, turn_id desc limit ?5`,
};

/** The unfinished reply in a conversation, oldest first. Parameters: tenant, conversation. Touches: turn, conversation_queue. */
export const findOpenChatTurn: Statement = {
  name: 'find-open-chat-turn',
  postgres: `select turn_id from turn where tenant_id = $1 and conversation_key = $2 and turn_seq > 0
    and turn_seq >= ${openFrom('$1', '$2')} and status in ${OPEN} and kind = 'chat' order by turn_seq limit 1`,
  sqlite: `select turn_id from turn where tenant_id = ?1 and conversation_key = ?2
    and turn_seq >= ${openFrom('?1', '?2')} and status in ${OPEN} and kind = 'chat' order by turn_seq limit 1`,
};
