import { NOW_MS } from '../../clock-sql';
import { rowsOf } from '../../row-lists';
import type { Statement } from '../../state-store';

const columns = {
  tenant_id: 'uuid',
  conversation_key: 'text',
  lease_token: 'bigint',
  started: 'int',
  dequeued: 'int',
  messages: 'int',
  events: 'int',
  ended_seq: 'bigint',
  next: 'text',
  due_ms: 'bigint',
} as const;

/**
 * Moves those of a list of hot rows on that are still under the given lease token (null: whoever holds them); what is missing from
 * the answer was not moved. Takes counters forward and, where asked, lets the lease go. `started` turns stop being
 * pending, and so do `dequeued` ones, which end without having begun; up to `ended_seq` no turn is open any more; `next` is
 * `keep` the lease, `release` (ready when something is pending, else idle), `retry` (ready in `due_ms`), or `park`.
 * All but keeping the lease for the same turn forgets the takeovers so far. Returns the counters after it, and the transaction's own
 * id, to ask for its fate if COMMIT is cut off. Touches: conversation_queue.
 */
const next = (now: string, greatest: string, column: (name: string) => string, own: string) => `
  pending = ${own}pending - ${column('started')} - ${column('dequeued')},
  last_message_seq = ${own}last_message_seq + ${column('messages')},
  last_event_seq = ${own}last_event_seq + ${column('events')},
  open_from = ${greatest}(${own}open_from, coalesce(${column('ended_seq')} + 1, 0)),
  state = case ${column('next')} when 'keep' then ${own}state when 'retry' then 'ready' when 'park' then 'parked'
    else case when ${own}pending - ${column('started')} - ${column('dequeued')} > 0 then 'ready' else 'idle' end end,
  due_at = case ${column('next')} when 'keep' then ${own}due_at when 'retry' then ${now} + ${column('due_ms')}
    when 'release' then case when ${own}pending - ${column('started')} - ${column('dequeued')} > 0 then ${now} end end,
  takeovers = case when ${column('next')} = 'keep' and ${column('started')} = 0 then ${own}takeovers else 0 end,
  lease_owner = case ${column('next')} when 'keep' then ${own}lease_owner end`;

export const advanceConversations: Statement = {
  name: 'advance-conversations',
  columns: Object.keys(columns),
  postgres: `
    update conversation_queue q set ${next(NOW_MS.postgres, 'greatest', (name) => `x.${name}`, 'q.')}
    from ${rowsOf(columns)} as x
    where q.tenant_id = x.tenant_id and q.conversation_key = x.conversation_key
      and (x.lease_token is null or (q.lease_token = x.lease_token and q.state = 'leased'))
    returning q.tenant_id, q.conversation_key, q.state, q.last_message_seq, q.last_event_seq,
      pg_current_xact_id()::text as transaction_id`,
  sqlite: `
    update conversation_queue as q set ${next(NOW_MS.sqlite, 'max', (name) => `(x.value ->> '${name}')`, 'q.')}
    from jsonb_each(?1) x
    where q.tenant_id = x.value ->> 'tenant_id' and q.conversation_key = x.value ->> 'conversation_key'
      and (x.value ->> 'lease_token' is null or (q.lease_token = x.value ->> 'lease_token' and q.state = 'leased'))
    returning tenant_id, conversation_key, state, last_message_seq, last_event_seq, '' as transaction_id`.trim(),
};
