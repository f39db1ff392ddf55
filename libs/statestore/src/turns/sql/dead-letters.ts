import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

/** Takeovers a dead letter tells of, newest first. */
const TAKEOVERS_TOLD = 10;

/**
 * Keeps turns that were given up, with why: their last error and who lost the conversation to whom. From a JSON list of
 * {tenant_id, turn_id, conversation_key, attempts, last_error}. Touches: dead_letter, lease_history (read).
 */
export const insertDeadLetters: Statement = {
  name: 'insert-dead-letters',
  postgres: `
    insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
    select x.tenant_id, x.turn_id, x.conversation_key, x.attempts, json_build_object('last_error', x.last_error::json,
      'takeovers', coalesce((select json_agg(h) from (
        select owner, taken_from, token, at from lease_history
        where kind = 'conversation' and name = x.tenant_id || '/' || x.conversation_key and reason = 'taken_over'
        order by id desc limit ${TAKEOVERS_TOLD}) h), '[]'::json))::text, ${NOW_MS.postgres}
    from json_to_recordset($1::json) as x(tenant_id uuid, turn_id uuid, conversation_key text, attempts int, last_error text)
    on conflict (tenant_id, turn_id) do nothing`,
  sqlite: `
    insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
    select x.value ->> 'tenant_id', x.value ->> 'turn_id', x.value ->> 'conversation_key', x.value ->> 'attempts',
      json_object('last_error', json(coalesce(x.value ->> 'last_error', 'null')), 'takeovers', (
        select json_group_array(json_object('owner', owner, 'taken_from', taken_from, 'token', token, 'at', at)) from (
          select owner, taken_from, token, at from lease_history
          where kind = 'conversation' and name = (x.value ->> 'tenant_id') || '/' || (x.value ->> 'conversation_key')
            and reason = 'taken_over'
          order by id desc limit ${TAKEOVERS_TOLD}))), ${NOW_MS.sqlite}
    from jsonb_each(?1) x where true
    on conflict (tenant_id, turn_id) do nothing`,
};

/** One dead letter. Parameters: tenant, turn. Touches: dead_letter. */
export const findDeadLetter: Statement = {
  name: 'find-dead-letter',
  postgres: 'select * from dead_letter where tenant_id = $1 and turn_id = $2',
  sqlite: 'select * from dead_letter where tenant_id = ?1 and turn_id = ?2',
};

/**
 * The dead turns that nobody has redriven and that died before a place, newest first. Parameters: tenant, the place (death, id),
 * limit. Touches: dead_letter, turn.
 */
export const listDeadTurns: Statement = {
  name: 'list-dead-turns',
  postgres: `select t.*, d.cause, d.died_at from dead_letter d join turn t using (tenant_id, turn_id)
    where d.tenant_id = $1 and d.redriven_as is null and (d.died_at, d.turn_id) < ($2::bigint, $3::uuid)
    order by d.died_at desc, d.turn_id desc limit $4`,
  sqlite: `select t.*, d.cause, d.died_at from dead_letter d join turn t using (tenant_id, turn_id)
    where d.tenant_id = ?1 and d.redriven_as is null and (d.died_at, d.turn_id) < (?2, ?3)
    order by d.died_at desc, d.turn_id desc limit ?4`,
};
