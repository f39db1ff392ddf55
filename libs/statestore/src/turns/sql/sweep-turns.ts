import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';

const ENDED = `('succeeded', 'failed', 'cancelled')`;

/**
 * The next tenant that has a turn older than an age. Tenants are found by one index probe each. Parameters: tenant to go on
 * after, age in ms. Touches: turn.
 */
export const nextTenantWithOldTurns: Statement = {
  name: 'next-tenant-with-old-turns',
  postgres: `
    with recursive tenants(tenant_id) as (
      (select tenant_id from turn where created_at > 0 and tenant_id > $1::uuid order by tenant_id limit 1)
      union all
      select n.tenant_id from tenants cross join lateral (
        select tenant_id from turn where created_at > 0 and tenant_id > tenants.tenant_id order by tenant_id limit 1) n)
    select tenant_id from tenants where (
      select true from turn o
      where o.tenant_id = tenants.tenant_id and o.created_at > 0 and o.created_at < (select ${NOW_MS.postgres} - $2::bigint)
      order by o.created_at limit 1)
    limit 1`,
  sqlite: `
    with recursive tenants(tenant_id) as (
      select (select min(tenant_id) from turn where tenant_id > ?1)
      union all
      select (select min(tenant_id) from turn where tenant_id > tenants.tenant_id) from tenants
      where tenants.tenant_id is not null)
    select tenant_id from tenants where tenant_id is not null and exists (
      select 1 from turn o where o.tenant_id = tenants.tenant_id and o.created_at < ${NOW_MS.sqlite} - ?2)
    limit 1`,
};

/**
 * A tenant's turns older than an age, oldest first, each with its number of steps and whether it is `past`: ended before
 * that age, and not needed by an open turn that took its input. The index by creation does, because nothing ends before it
 * is made: one by the end would have to be kept by every turn. (Here and in the other sweeps a row is looked for with LIMIT 1
 * and not with EXISTS, which Postgres may answer by reading the whole table into a hash.) Parameters: tenant, the last row's created_at and turn, age
 * in ms, limit. Touches: turn, step.
 */
export const findOldTurns: Statement = {
  name: 'find-old-turns',
  postgres: `
    select t.tenant_id, t.turn_id, t.conversation_key, t.created_at,
      t.status in ${ENDED} and t.finished_at < (select ${NOW_MS.postgres} - $4::bigint) and coalesce((
        select false from turn o
        where o.tenant_id = t.tenant_id and o.turn_id = t.delivered_to and o.status not in ${ENDED} limit 1), true) as past,
      (select count(*) from step s where s.tenant_id = t.tenant_id and s.turn_id = t.turn_id) as steps
    from turn t where t.tenant_id = $1 and (t.created_at, t.turn_id) > ($2::bigint, $3::uuid)
      and t.created_at > 0 and t.created_at < (select ${NOW_MS.postgres} - $4::bigint)
    order by t.created_at, t.turn_id limit $5`,
  sqlite: `
    select t.tenant_id, t.turn_id, t.conversation_key, t.created_at,
      t.status in ${ENDED} and t.finished_at < ${NOW_MS.sqlite} - ?4 and not exists (
        select 1 from turn o where o.tenant_id = t.tenant_id and o.turn_id = t.delivered_to and o.status not in ${ENDED}) as past,
      (select count(*) from step s where s.tenant_id = t.tenant_id and s.turn_id = t.turn_id) as steps
    from turn t where t.tenant_id = ?1 and (t.created_at, t.turn_id) > (?2, ?3)
      and t.created_at < ${NOW_MS.sqlite} - ?4
    order by t.created_at, t.turn_id limit ?5`,
};

/**
 * Notes of conversations whose newest turn is among these, and that nothing waits in, that none of their turns is kept:
 * turns are counted from the beginning again. Takes a JSON list of {tenant_id, turn_id}. Touches: conversation_queue, turn.
 */
export const forgetLastTurns: Statement = {
  name: 'forget-last-turns',
  postgres: `
    update conversation_queue q set last_turn_seq = 0, open_from = 0
    from json_to_recordset($1::json) as x(tenant_id uuid, turn_id uuid)
      join turn t on t.tenant_id = x.tenant_id and t.turn_id = x.turn_id
    where q.tenant_id = t.tenant_id and q.conversation_key = t.conversation_key and q.last_turn_seq = t.turn_seq
      and q.state = 'idle' and q.pending = 0`,
  sqlite: `
    update conversation_queue as q set last_turn_seq = 0, open_from = 0
    from jsonb_each(?1) x join turn t on t.tenant_id = x.value ->> 'tenant_id' and t.turn_id = x.value ->> 'turn_id'
    where q.tenant_id = t.tenant_id and q.conversation_key = t.conversation_key and q.last_turn_seq = t.turn_seq
      and q.state = 'idle' and q.pending = 0`.trim(),
};

const ofTurns = (table: string): Statement => ({
  name: `delete-${table.replace('_', '-')}-of-turns`,
  postgres: `delete from ${table} r using json_to_recordset($1::json) as x(tenant_id uuid, turn_id uuid)
    where r.tenant_id = x.tenant_id and r.turn_id = x.turn_id returning r.turn_id`,
  sqlite: `delete from ${table} where (tenant_id, turn_id) in
      (select value ->> 'tenant_id', value ->> 'turn_id' from jsonb_each(?1)) returning turn_id`,
});

/** The tables whose rows go with their turn, the turn itself last. Each takes a JSON list of {tenant_id, turn_id}. */
export const deleteWithTurn = {
  step: ofTurns('step'),
  artifact: ofTurns('artifact'),
  dead_letter: ofTurns('dead_letter'),
  turn: ofTurns('turn'),
} as const;

/**
 * Turns that have steps, in order, and whether the turn itself is missing (`past`): no commit leaves steps without their
 * turn, so what is found here came from elsewhere, a partial restore say. Parameters: tenant and turn to go on after,
 * limit. Touches: step, turn.
 */
const orphans = (p: (n: number) => string) => `
    select begun.tenant_id, begun.turn_id, coalesce((
      select false from turn t where t.tenant_id = begun.tenant_id and t.turn_id = begun.turn_id limit 1), true) as past
    from (select distinct tenant_id, turn_id from step where (tenant_id, turn_id) > (${p(1)}, ${p(2)})
      order by tenant_id, turn_id limit ${p(3)}) begun order by begun.tenant_id, begun.turn_id`;

export const findStepsWithoutTurn: Statement = {
  name: 'find-steps-without-turn',
  postgres: orphans((n) => ['$1::uuid', '$2::uuid', '$3'][n - 1] ?? ''),
  sqlite: orphans((n) => `?${n}`),
};
