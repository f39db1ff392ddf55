import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Takes up to a number of due conversations under a new lease: those that became ready, and those whose holder let its
 * lease run out. SKIP LOCKED lets workers claim side by side without waiting. A takeover is written into the history.
 * Parameters: owner, lease TTL in ms, how many. Touches: conversation_queue, lease_history.
 */
export const claimConversations: Statement = {
  name: 'claim-conversations',
  postgres: `
    with due as (
      select tenant_id, conversation_key, lease_owner from conversation_queue
      where due_at <= ${NOW_MS.postgres}
      order by due_at limit $3 for update skip locked),
    claimed as (
      update conversation_queue q set state = 'leased', lease_owner = $1, lease_token = q.lease_token + 1,
        due_at = ${NOW_MS.postgres} + $2
      from due where q.tenant_id = due.tenant_id and q.conversation_key = due.conversation_key
      returning q.tenant_id, q.conversation_key, q.lease_token, due.lease_owner as taken_from),
    noted as (
      insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select 'conversation', tenant_id || '/' || conversation_key, lease_token, $1, taken_from, 'taken_over', ${NOW_MS.postgres}
      from claimed where taken_from is not null)
    select * from claimed`,
  // One writer at a time, so the rows the first statement notes are those that the second one takes: both stop at the
  // same instant, which the caller's transaction fixes by reading the clock once (?4).
  sqlite: [
    `insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select 'conversation', tenant_id || '/' || conversation_key, lease_token + 1, ?1, lease_owner, 'taken_over', ?4
      from (select * from conversation_queue where due_at <= ?4 order by due_at, tenant_id, conversation_key limit ?3)
      where lease_owner is not null and ?2 > 0`,
    `update conversation_queue set state = 'leased', lease_owner = ?1, lease_token = lease_token + 1, due_at = ?4 + ?2
      where (tenant_id, conversation_key) in (
        select tenant_id, conversation_key from conversation_queue where due_at <= ?4
        order by due_at, tenant_id, conversation_key limit ?3)
      returning tenant_id, conversation_key, lease_token,
        (select taken_from from lease_history h where h.kind = 'conversation' and h.token = lease_token
          and h.name = tenant_id || '/' || conversation_key) as taken_from`,
  ],
};

/** The database's clock, and when the next conversation falls due. Touches: conversation_queue. */
export const nextDue: Statement = {
  name: 'next-due',
  postgres: `select ${NOW_MS.postgres} as now_ms, (select min(due_at) from conversation_queue where due_at is not null) as due_at`,
  sqlite: `select ${NOW_MS.sqlite} as now_ms, (select min(due_at) from conversation_queue where due_at is not null) as due_at`,
};
