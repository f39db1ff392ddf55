import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';
import { openFrom } from './load-open-turns';

/**
 * A conversation's queued replies that no turn has taken the input of, oldest first. One that another turn waits for, or that
 * goes on with a dead turn's work, is a turn of its own in any case. Parameters: tenant, key, limit. Touches: turn,
 * conversation_queue.
 */
export const listWaitingInputs: Statement = {
  name: 'list-waiting-inputs',
  postgres: `select * from turn where tenant_id = $1 and conversation_key = $2 and turn_seq > 0
    and turn_seq >= ${openFrom('$1', '$2')} and status = 'queued' and kind = 'chat'
    and delivered_to is null and parent_turn_id is null and origin_turn_id is null order by turn_seq limit $3`,
  sqlite: `select * from turn where tenant_id = ?1 and conversation_key = ?2
    and turn_seq >= ${openFrom('?1', '?2')} and status = 'queued' and kind = 'chat'
    and delivered_to is null and parent_turn_id is null and origin_turn_id is null order by turn_seq limit ?3`,
};

/**
 * Gives queued turns' inputs to another turn, before its step `step` or (null) before it starts; with `settle` they have
 * thereby succeeded and never run themselves. From a JSON list of {tenant_id, turn_id, delivered_to, step, settle}; returns
 * those that were still queued and are settled now. Touches: turn.
 */
const set = (now: string, x: (column: string) => string, settle: string) => `
  delivered_to = ${x('delivered_to')}, delivered_step = ${x('step')},
  status = case when ${settle} then 'succeeded' else t.status end,
  started_at = case when ${settle} then coalesce(t.started_at, ${now}) else t.started_at end,
  finished_at = case when ${settle} then ${now} else t.finished_at end`;

export const deliverInputs: Statement = {
  name: 'deliver-inputs',
  postgres: `
    update turn t set ${set(NOW_MS.postgres, (column) => `x.${column}`, 'x.settle')}
    from json_to_recordset($1::json) as x(tenant_id uuid, turn_id uuid, delivered_to uuid, step int, settle boolean)
    where t.tenant_id = x.tenant_id and t.turn_id = x.turn_id and t.status = 'queued'
    returning t.turn_id`,
  sqlite: `
    update turn as t set ${set(NOW_MS.sqlite, (column) => `(x.value ->> '${column}')`, `(x.value ->> 'settle')`)}
    from jsonb_each(?1) x
    where t.tenant_id = x.value ->> 'tenant_id' and t.turn_id = x.value ->> 'turn_id' and t.status = 'queued'
    returning turn_id`.trim(),
};

/**
 * The newest messages that a turn may see, newest first: all but those of inputs that wait for a turn of their own. A
 * message that was given to the turn while it ran says before which step. Parameters: tenant, key, turn, limit. Touches:
 * message, turn.
 */
const transcript = (p: (n: number) => string) => `
  select m.*, case when t.delivered_to = ${p(3)} then t.delivered_step end as delivered_step
  from message m left join turn t on t.tenant_id = m.tenant_id and t.turn_id = m.turn_id
  where m.tenant_id = ${p(1)} and m.conversation_key = ${p(2)}
    and (t.turn_id is null or t.status <> 'queued' or t.delivered_to = ${p(3)} or t.turn_id = ${p(3)})
  order by m.message_seq desc limit ${p(4)}`;

export const listTranscript: Statement = {
  name: 'list-transcript',
  postgres: transcript((n) => (n === 3 ? '$3::uuid' : `$${n}`)),
  sqlite: transcript((n) => `?${n}`),
};
