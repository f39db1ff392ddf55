import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';
import { insertConversations } from './insert-conversations';

/**
 * Makes the conversations that are not there yet, counts new turns, messages and events into their hot rows, and returns the
 * counters after it with whether the conversation was `created`, which is one event more and the first of them. An idle
 * conversation becomes ready; a leased or parked one stays what it is. Until it is idle again it has the highest priority
 * that anything in it came with. A new one begins above the lease tokens of those that retention has removed.
 *
 * Takes a list of rows; for SQLite, which has no data-modifying CTE, `insertConversations` goes before and
 * `created` is in the list. Touches: conversation, conversation_queue, lease_floor.
 */
const inputColumns = {
  tenant_id: 'uuid',
  conversation_key: 'text',
  agent_key: 'text',
  channel: 'text',
  account_key: 'text',
  container_kind: 'text',
  thread_id: 'text',
  title: 'text',
  turns: 'int',
  messages: 'int',
  events: 'int',
  priority: 'int',
} as const;

const columns = (now: string, created: string) => `
  insert into conversation_queue as q (tenant_id, conversation_key, state, due_at, pending, priority,
    last_turn_seq, last_message_seq, last_event_seq, lease_token)
  select tenant_id, conversation_key,
    case when turns > 0 then 'ready' else 'idle' end, case when turns > 0 then ${now} end,
    turns, priority, turns, messages, events + ${created},
    coalesce((select f.token from lease_floor f where f.tenant_id = input.tenant_id), 0)`;

const update = (now: string) => `
  on conflict (tenant_id, conversation_key) do update set
    state = case when q.state = 'idle' and excluded.pending > 0 then 'ready' else q.state end,
    due_at = case when q.state = 'idle' and excluded.pending > 0 then ${now} else q.due_at end,
    priority = case when q.state = 'idle' or excluded.priority > q.priority then excluded.priority else q.priority end,
    pending = q.pending + excluded.pending,
    last_turn_seq = q.last_turn_seq + excluded.last_turn_seq,
    last_message_seq = q.last_message_seq + excluded.last_message_seq,
    last_event_seq = q.last_event_seq + excluded.last_event_seq
  returning tenant_id, conversation_key, state, pending, queue_mode, queue_cap, queue_overflow, last_turn_seq, last_message_seq, last_event_seq`;

/** Not as a join: our sessions join row by row, which for a batch of new conversations is the square of it. This is hashed. */
const wasMade = '(tenant_id, conversation_key) in (select tenant_id, conversation_key from made)';

export const enqueueTurns: Statement = {
  name: 'enqueue-turns',
  columns: Object.keys(inputColumns),
  postgres: `
    with input as materialized (
      select * from ${rowsOf(inputColumns)} as i),
    made as (
      ${insertConversations.postgres}),
    counted as (${columns(NOW_MS.postgres, `case when ${wasMade} then 1 else 0 end`)} from input
      ${update(NOW_MS.postgres)})
    select *, ${wasMade} as created from counted`,
  // `where true`: without it SQLite reads ON CONFLICT as a join constraint.
  sqlite: `${columns(NOW_MS.sqlite, 'created')}
    from (select value ->> 'tenant_id' as tenant_id, value ->> 'conversation_key' as conversation_key,
      value ->> 'turns' as turns, value ->> 'messages' as messages, value ->> 'events' as events,
      value ->> 'priority' as priority, value ->> 'created' as created from json_each(?1)) as input
    where true ${update(NOW_MS.sqlite)}`.trim(),
};
