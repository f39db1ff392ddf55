import type { Statement } from '../../state-store';

/** Marks a dead letter as redriven, unless it is. Parameters: tenant, dead turn, new turn. Touches: dead_letter. */
export const markRedriven: Statement = {
  name: 'mark-redriven',
  postgres: `update dead_letter set redriven_as = $3 where tenant_id = $1 and turn_id = $2 and redriven_as is null
    returning turn_id`,
  sqlite: `update dead_letter set redriven_as = ?3 where tenant_id = ?1 and turn_id = ?2 and redriven_as is null
    returning turn_id`,
};

/**
 * Names the turn whose work a new one goes on with; a chain names its first, so that idempotency keys stay what they
 * were. Parameters: tenant, dead turn, new turn. Touches: turn.
 */
export const setOrigin: Statement = {
  name: 'set-origin',
  postgres: `update turn t set origin_turn_id = coalesce(dead.origin_turn_id, dead.turn_id),
      parent_turn_id = dead.parent_turn_id, parent_conversation_key = dead.parent_conversation_key
    from turn dead where t.tenant_id = $1 and t.turn_id = $3 and dead.tenant_id = $1 and dead.turn_id = $2`,
  sqlite: `update turn as t set origin_turn_id = coalesce(dead.origin_turn_id, dead.turn_id),
      parent_turn_id = dead.parent_turn_id, parent_conversation_key = dead.parent_conversation_key
    from turn dead where t.tenant_id = ?1 and t.turn_id = ?3 and dead.tenant_id = ?1 and dead.turn_id = ?2`,
};

/**
 * Gives a new turn the steps of a dead one: settled ones as they are, so that they never run again; the open one as
 * decided. Parameters: tenant, dead turn, new turn, the open step's status and result. Touches: step.
 */
const columns = `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, result, error,
    started_at, finished_at)`;
const settled = `status in ('succeeded', 'failed', 'cancelled')`;

export const copySteps: Statement = {
  name: 'copy-steps',
  postgres: `${columns}
    select tenant_id, $3::uuid, step_index, action, effect, case when ${settled} then status else $4::text end, attempts,
      case when ${settled} then result else $5::text end, case when ${settled} then error end, started_at, finished_at
    from step where tenant_id = $1 and turn_id = $2`,
  sqlite: `${columns}
    select tenant_id, ?3, step_index, action, effect, case when ${settled} then status else ?4 end, attempts,
      case when ${settled} then result else ?5 end, case when ${settled} then error end, started_at, finished_at
    from step where tenant_id = ?1 and turn_id = ?2`,
};
