import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Moves a schedule on from the instant it stood at: the compare-and-set that lets an instant go off once. No row = it has
 * moved on, is disabled or gone. Parameters: tenant, schedule, the instant it stands at, the next one or null, the instant
 * that is fired or null for none. Touches: schedule.
 */
export const advanceSchedule: Statement = {
  name: 'advance-schedule',
  postgres: `
    update schedule set next_fire_at = $4::bigint, last_fired_at = coalesce($5::bigint, last_fired_at)
    where tenant_id = $1 and schedule_id = $2 and enabled and next_fire_at = $3::bigint
    returning schedule_id`,
  sqlite: `
    update schedule set next_fire_at = ?4, last_fired_at = coalesce(?5, last_fired_at)
    where tenant_id = ?1 and schedule_id = ?2 and enabled and next_fire_at = ?3
    returning schedule_id`.trim(),
};

/**
 * Records that an instant went off. No row = it had before, whatever has happened to `next_fire_at` since. Parameters:
 * tenant, schedule, instant, turn. Touches: firing.
 */
export const insertFiring: Statement = {
  name: 'insert-firing',
  postgres: `
    insert into firing (tenant_id, schedule_id, instant, turn_id, fired_at)
    values ($1, $2, $3::bigint, $4, ${NOW_MS.postgres})
    on conflict do nothing
    returning instant`,
  sqlite: `
    insert into firing (tenant_id, schedule_id, instant, turn_id, fired_at)
    values (?1, ?2, ?3, ?4, ${NOW_MS.sqlite})
    on conflict do nothing
    returning instant`.trim(),
};
