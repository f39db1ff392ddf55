import type { Statement } from '../../state-store';

/** The states of a turn that has not ended. */
export const OPEN = `('queued', 'running', 'paused')`;

/** Where a conversation's open turns begin; null, and so nothing, if there is no such conversation. */
export const openFrom = (tenant: string, key: string) =>
  `(select open_from from conversation_queue where tenant_id = ${tenant} and conversation_key = ${key})`;

/** Bytes of input that come with a conversation, besides those of the last turn that begins within them: a claim has many. */
export const LOADED_BYTES = 256 * 1024;

/** Of turns, as SQL, those that begin within `LOADED_BYTES`. */
export const withinBytes = (turns: string) => `select * from (
        select t.*, sum(octet_length(t.input)) over (
          partition by t.tenant_id, t.conversation_key order by t.turn_seq rows unbounded preceding
        ) - octet_length(t.input) as bytes_before from ${turns} ) sized
      where bytes_before < ${LOADED_BYTES}`;

/**
 * The first unfinished turns of each of these conversations, in order: none lies before the hot row's `open_from`. Takes a
 * JSON list of {tenant_id, conversation_key} and how many turns of each at the most. Touches: turn, conversation_queue.
 */
export const loadOpenTurns: Statement = {
  name: 'load-open-turns',
  postgres: `
    select t.* from json_to_recordset($1::json) as c(tenant_id uuid, conversation_key text)
    join conversation_queue q using (tenant_id, conversation_key)
    cross join lateral (${withinBytes(`(
          select * from turn
          where tenant_id = c.tenant_id and conversation_key = c.conversation_key
            and turn_seq > 0 and turn_seq >= q.open_from and status in ${OPEN}
          order by turn_seq limit $2) t`)}) t
    order by t.tenant_id, t.conversation_key, t.turn_seq`,
  sqlite: `
    ${withinBytes(`jsonb_each(?1) c
    join conversation_queue q on q.tenant_id = c.value ->> 'tenant_id' and q.conversation_key = c.value ->> 'conversation_key'
    join turn t on t.tenant_id = q.tenant_id and t.conversation_key = q.conversation_key and t.turn_seq >= q.open_from
      and t.status in ${OPEN}
    where t.turn_seq < coalesce((
      select turn_seq from turn u
      where u.tenant_id = q.tenant_id and u.conversation_key = q.conversation_key and u.turn_seq >= q.open_from
        and u.status in ${OPEN}
      order by turn_seq limit 1 offset ?2), 9223372036854775807)`)}
    order by tenant_id, conversation_key, turn_seq`.trim(),
};

/** The steps of these turns, in order. Takes a JSON list of {tenant_id, turn_id}. Touches: step. */
export const loadSteps: Statement = {
  name: 'load-steps',
  postgres: `
    select s.* from step s join json_to_recordset($1::json) as t(tenant_id uuid, turn_id uuid) using (tenant_id, turn_id)
    order by s.tenant_id, s.turn_id, s.step_index`,
  sqlite: `
    select * from step where (tenant_id, turn_id) in
      (select value ->> 'tenant_id', value ->> 'turn_id' from jsonb_each(?1))
    order by tenant_id, turn_id, step_index`,
};
