import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/** Nothing runs, waits or is kept in it, and nobody has written to it for that long. */
const idle = (before: string) => `q.state = 'idle' and q.pending = 0 and q.last_turn_seq = 0
      and coalesce(c.updated_at, 0) < ${before} and coalesce((
        select false from message m where m.tenant_id = q.tenant_id and m.conversation_key = q.conversation_key limit 1), true)`;

const join = `conversation_queue q left join conversation c
      on c.tenant_id = q.tenant_id and c.conversation_key = q.conversation_key`;

/**
 * Conversations in the order of their keys, and whether they are `past`. Parameters: tenant and key to go on after, age in
 * ms, limit. Touches: conversation_queue, conversation, message.
 */
export const findIdleConversations: Statement = {
  name: 'find-idle-conversations',
  postgres: `
    select q.tenant_id, q.conversation_key, ${idle(`(select ${NOW_MS.postgres} - $3::bigint)`)} as past
    from ${join} where (q.tenant_id, q.conversation_key) > ($1::uuid, $2)
    order by q.tenant_id, q.conversation_key limit $4`,
  sqlite: `
    select q.tenant_id, q.conversation_key, ${idle(`${NOW_MS.sqlite} - ?3`)} as past
    from ${join} where (q.tenant_id, q.conversation_key) > (?1, ?2)
    order by q.tenant_id, q.conversation_key limit ?4`,
};

/**
 * Those of these conversations that are still past, locked, with their lease tokens. Takes a JSON list of {tenant_id,
 * conversation_key} and the age in ms. Touches: conversation_queue, conversation, message.
 */
export const holdIdleConversations: Statement = {
  name: 'hold-idle-conversations',
  postgres: `
    select q.tenant_id, q.conversation_key, q.lease_token
    from json_to_recordset($1::json) as x(tenant_id uuid, conversation_key text)
      join conversation_queue q using (tenant_id, conversation_key)
      left join conversation c using (tenant_id, conversation_key)
    where ${idle(`(select ${NOW_MS.postgres} - $2::bigint)`)} for update of q`,
  sqlite: `
    select q.tenant_id, q.conversation_key, q.lease_token from ${join}
    where (q.tenant_id, q.conversation_key) in
      (select value ->> 'tenant_id', value ->> 'conversation_key' from jsonb_each(?1)) and ${idle(`${NOW_MS.sqlite} - ?2`)}`,
};

/**
 * Notes the tokens of conversations that are about to be removed: a new one under the same key begins above them. Takes a
 * JSON list of {tenant_id, lease_token}. Touches: lease_floor.
 */
export const raiseLeaseFloor: Statement = {
  name: 'raise-lease-floor',
  postgres: `
    insert into lease_floor as f (tenant_id, token)
    select tenant_id, max(lease_token) from json_to_recordset($1::json) as x(tenant_id uuid, lease_token bigint)
    group by tenant_id order by tenant_id
    on conflict (tenant_id) do update set token = greatest(f.token, excluded.token)`,
  sqlite: `
    insert into lease_floor as f (tenant_id, token)
    select value ->> 'tenant_id', max(value ->> 'lease_token') from jsonb_each(?1) where true group by 1
    on conflict (tenant_id) do update set token = max(f.token, excluded.token)`,
};

const byKey = (table: string): Statement => ({
  name: `remove-${table.replace('_', '-')}`,
  postgres: `delete from ${table} r using json_to_recordset($1::json) as x(tenant_id uuid, conversation_key text)
    where r.tenant_id = x.tenant_id and r.conversation_key = x.conversation_key returning r.conversation_key`,
  sqlite: `delete from ${table} where (tenant_id, conversation_key) in
      (select value ->> 'tenant_id', value ->> 'conversation_key' from jsonb_each(?1)) returning conversation_key`,
});

/** Removes conversations and their hot rows. Each takes a JSON list of {tenant_id, conversation_key}. */
export const removeConversation = {
  conversation: byKey('conversation'),
  conversation_queue: byKey('conversation_queue'),
};
