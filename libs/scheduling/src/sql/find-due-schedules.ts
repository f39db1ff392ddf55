import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * The schedules that are due or fall due soon, earliest first, each with how long it is until then (0 and less = due) and
 * what the database's clock says. Ids are random, so their first hex digit spreads them evenly over the shards.
 * Parameters: the first digits to look at, as one text; how far to look ahead in ms; limit. Disabled tenants'
 * are left out. Touches: schedule, tenant.
 */
export const findDueSchedules: Statement = {
  name: 'find-due-schedules',
  postgres: `
    select tenant_id, schedule_id, cadence, execution, next_fire_at, created_at, clock.now as now
    from (select ${NOW_MS.postgres} as now) as clock, schedule
    where next_fire_at is not null and next_fire_at <= clock.now + $2::bigint
      and strpos($1, left(schedule_id::text, 1)) > 0
      and tenant_id not in (select tenant_id from tenant where disabled_at is not null)
    order by next_fire_at limit $3::int`,
  sqlite: `
    select tenant_id, schedule_id, cadence, execution, next_fire_at, created_at, clock.now as now
    from (select ${NOW_MS.sqlite} as now) as clock, schedule
    where next_fire_at is not null and next_fire_at <= clock.now + ?2
      and instr(?1, substr(schedule_id, 1, 1)) > 0
      and tenant_id not in (select tenant_id from tenant where disabled_at is not null)
    order by next_fire_at limit ?3`,
};
