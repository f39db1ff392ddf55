import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/**
 * Extends the leases an owner still holds and returns them; one that is missing from the answer is lost. Parameters: a
 * JSON list of {tenant_id, conversation_key, lease_token}, the TTL in ms. Touches: conversation_queue.
 */
export const renewConversationLeases: Statement = {
  name: 'renew-conversation-leases',
  postgres: `
    update conversation_queue q set due_at = ${NOW_MS.postgres} + $2
    from json_to_recordset($1::json) as held(tenant_id uuid, conversation_key text, lease_token bigint)
    where q.tenant_id = held.tenant_id and q.conversation_key = held.conversation_key
      and q.lease_token = held.lease_token and q.state = 'leased'
    returning q.tenant_id, q.conversation_key, q.lease_token`,
  sqlite: `
    update conversation_queue set due_at = ${NOW_MS.sqlite} + ?2
    where state = 'leased' and (tenant_id, conversation_key, lease_token) in
      (select value ->> 'tenant_id', value ->> 'conversation_key', value ->> 'lease_token' from jsonb_each(?1))
    returning tenant_id, conversation_key, lease_token`.trim(),
};

/**
 * Which of these turns somebody asked to cancel, and which belong to a tenant that was disabled. Takes a JSON list of
 * {tenant_id, turn_id}. Touches: turn, tenant.
 */
export const findStopRequests: Statement = {
  name: 'find-stop-requests',
  postgres: `
    select t.turn_id, t.cancel_requested_at is not null as cancelled, tenant.disabled_at is not null as disabled from turn t
    join json_to_recordset($1::json) as held(tenant_id uuid, turn_id uuid) using (tenant_id, turn_id)
    left join tenant using (tenant_id)
    where t.cancel_requested_at is not null or tenant.disabled_at is not null`,
  sqlite: `
    select t.turn_id, t.cancel_requested_at is not null as cancelled, tenant.disabled_at is not null as disabled from turn t
    left join tenant on tenant.tenant_id = t.tenant_id
    where (t.cancel_requested_at is not null or tenant.disabled_at is not null) and (t.tenant_id, t.turn_id) in
      (select value ->> 'tenant_id', value ->> 'turn_id' from jsonb_each(?1))`,
};
