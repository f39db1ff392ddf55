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

/** What is added to a hot row, each as SQL. */
type Added = Readonly<Record<'turns' | 'messages' | 'events' | 'priority', string>>;

/**
 * How a hot row takes new work: an idle one becomes ready; a leased or parked one stays what it is. Until it is idle again it
 * has the highest priority that anything in it came with.
 */
const taking = (now: string, { turns, messages, events, priority }: Added) => `
      state = case when q.state = 'idle' and ${turns} > 0 then 'ready' else q.state end,
      due_at = case when q.state = 'idle' and ${turns} > 0 then ${now} else q.due_at end,
      priority = case when q.state = 'idle' or ${priority} > q.priority then ${priority} else q.priority end,
      pending = q.pending + ${turns},
      last_turn_seq = q.last_turn_seq + ${turns},
      last_message_seq = q.last_message_seq + ${messages},
      last_event_seq = q.last_event_seq + ${events}`;

const added = (column: (name: string) => string): Added => ({
  turns: column('turns'),
  messages: column('messages'),
  events: column('events'),
  priority: column('priority'),
});

const COUNTERS = [
  ...['tenant_id', 'conversation_key', 'state', 'pending', 'queue_mode', 'queue_cap', 'queue_overflow'],
  ...['last_turn_seq', 'last_message_seq', 'last_event_seq'],
];

/** Whoever deletes a conversation leaves its hot row and its turns: that it is there is for its own row to say. */
const isThere = `exists (select 1 from conversation c
        where c.tenant_id = q.tenant_id and c.conversation_key = q.conversation_key)`;

/**
 * Counts new turns, messages and events into the hot rows of conversations and returns the counters after it; a conversation
 * that is missing from the answer is not there, and nothing was counted for it. Takes a list of rows. Touches:
 * conversation_queue, conversation.
 */
export const countTurns: Statement = {
  name: 'count-turns',
  columns: Object.keys(counts),
  postgres: `
    update conversation_queue as q set ${taking(
      NOW_MS.postgres,
      added((name) => `x.${name}`),
    )}
    from ${rowsOf(counts)} as x
    where q.tenant_id = x.tenant_id and q.conversation_key = x.conversation_key and ${isThere}
    returning ${COUNTERS.map((name) => `q.${name}`).join(', ')}`,
  sqlite: `
    update conversation_queue as q set ${taking(
      NOW_MS.sqlite,
      added((name) => `(x.value ->> '${name}')`),
    )}
    from jsonb_each(?1) x
    where q.tenant_id = x.value ->> 'tenant_id' and q.conversation_key = x.value ->> 'conversation_key' and ${isThere}
    returning ${COUNTERS.join(', ')}`.trim(),
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
 * Makes conversations that are not there, with their first turns, messages and events, and returns what `countTurns` does,
 * with whether the conversation was `created`, which is one event more and the first of them. A new one begins above the lease
 * tokens of those that retention has removed; one that was deleted goes on where its hot row is.
 *
 * Takes a list of rows; for SQLite, which has no data-modifying CTE, `insertConversations` goes before and
 * `created` is in the list. Touches: conversation, conversation_queue, lease_floor.
 */
const begin = (now: string, created: string) => `
    insert into conversation_queue as q (tenant_id, conversation_key, state, due_at, pending, priority,
      last_turn_seq, last_message_seq, last_event_seq, lease_token)
    select tenant_id, conversation_key,
      case when turns > 0 then 'ready' else 'idle' end, case when turns > 0 then ${now} end,
      turns, priority, turns, messages, events + ${created},
      coalesce((select f.token from lease_floor f where f.tenant_id = input.tenant_id), 0)`;

const orGoOn = (now: string) => `
    on conflict (tenant_id, conversation_key) do update set ${taking(now, {
      turns: 'excluded.pending',
      messages: 'excluded.last_message_seq',
      events: 'excluded.last_event_seq',
      priority: 'excluded.priority',
    })}
    returning ${COUNTERS.join(', ')}`;

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
      ${orGoOn(NOW_MS.postgres)})
    select *, ${wasMade} as created from counted`,
  // `where true`: without it SQLite reads ON CONFLICT as a join constraint.
  sqlite: `${begin(NOW_MS.sqlite, 'created')}
    from (select value ->> 'tenant_id' as tenant_id, value ->> 'conversation_key' as conversation_key,
      value ->> 'turns' as turns, value ->> 'messages' as messages, value ->> 'events' as events,
      value ->> 'priority' as priority, value ->> 'created' as created from jsonb_each(?1)) as input
    where true ${orGoOn(NOW_MS.sqlite)}`.trim(),
};
