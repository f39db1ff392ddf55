import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';
import { insertConversations } from './insert-conversations';

const counts = {
  tenant_id: 'uuid',
  conversation_key: 'text',
  turns: 'int',
  messages: 'int',
  events: 'int',
  priority: 'int',
} as const;

const COUNTERS = `tenant_id, conversation_key, state, pending, queue_mode, queue_cap, queue_overflow, last_turn_seq,
      last_message_seq, last_event_seq`;

/**
 * Counts new turns, messages and events into the hot rows of conversations and returns the counters after it; a conversation
 * that is missing from the answer is not there yet. An idle one becomes ready; a leased or parked one stays what it is. Until it
 * is idle again it has the highest priority that anything in it came with. Takes a list of rows. Touches: conversation_queue.
 */
const count = (now: string, of: (column: string) => string) => `
    update conversation_queue as q set
      state = case when q.state = 'idle' and ${of('turns')} > 0 then 'ready' else q.state end,
      due_at = case when q.state = 'idle' and ${of('turns')} > 0 then ${now} else q.due_at end,
      priority = case when q.state = 'idle' or ${of('priority')} > q.priority then ${of('priority')} else q.priority end,
      pending = q.pending + ${of('turns')},
      last_turn_seq = q.last_turn_seq + ${of('turns')},
      last_message_seq = q.last_message_seq + ${of('messages')},
      last_event_seq = q.last_event_seq + ${of('events')}`;

export const countTurns: Statement = {
  name: 'count-turns',
  columns: Object.keys(counts),
  postgres: `${count(NOW_MS.postgres, (column) => `x.${column}`)}
    from ${rowsOf(counts)} as x
    where q.tenant_id = x.tenant_id and q.conversation_key = x.conversation_key
    returning ${COUNTERS.replace(/(\w+)/g, 'q.$1')}`,
  sqlite: `${count(NOW_MS.sqlite, (column) => `(x.value ->> '${column}')`).trim()}
    from jsonb_each(?1) x
    where q.tenant_id = x.value ->> 'tenant_id' and q.conversation_key = x.value ->> 'conversation_key'
    returning ${COUNTERS}`,
};

const begun = {
  ...counts,
  agent_key: 'text',
  channel: 'text',
  account_key: 'text',
  container_kind: 'text',
  thread_id: 'text',
  title: 'text',
} as const;

/**
 * Begins conversations that are not there yet, with their first turns, messages and events, and returns what `countTurns`
 * does, with whether the conversation was `created`, which is one event more and the first of them. A new one begins above the
 * lease tokens of those that retention has removed.
 *
 * Takes a list of rows; for SQLite, which has no data-modifying CTE, `insertConversations` goes before and
 * `created` is in the list. Touches: conversation, conversation_queue, lease_floor.
 */
const begin = (now: string, created: string) => `
    insert into conversation_queue (tenant_id, conversation_key, state, due_at, pending, priority,
      last_turn_seq, last_message_seq, last_event_seq, lease_token)
    select tenant_id, conversation_key,
      case when turns > 0 then 'ready' else 'idle' end, case when turns > 0 then ${now} end,
      turns, priority, turns, messages, events + ${created},
      coalesce((select f.token from lease_floor f where f.tenant_id = input.tenant_id), 0)`;

/** Not as a join: our sessions join row by row, which for a batch of new conversations is the square of it. This is hashed. */
const wasMade = '(tenant_id, conversation_key) in (select tenant_id, conversation_key from made)';

export const beginConversations: Statement = {
  name: 'begin-conversations',
  columns: Object.keys(begun),
  postgres: `
    with input as materialized (
      select * from ${rowsOf(begun)} as i),
    made as (
      ${insertConversations.postgres}),
    counted as (${begin(NOW_MS.postgres, `case when ${wasMade} then 1 else 0 end`)} from input
      returning ${COUNTERS})
    select *, ${wasMade} as created from counted`,
  sqlite: `${begin(NOW_MS.sqlite, 'created').trim()}
    from (select value ->> 'tenant_id' as tenant_id, value ->> 'conversation_key' as conversation_key,
      value ->> 'turns' as turns, value ->> 'messages' as messages, value ->> 'events' as events,
      value ->> 'priority' as priority, value ->> 'created' as created from jsonb_each(?1)) as input
    returning ${COUNTERS}`,
};
