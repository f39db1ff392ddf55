import { portable } from '@tyrum/statestore';

/** Touches: instance. */
export const forgetInstance = portable('forget-instance', 'delete from instance where instance_id = $1');
/** Processes that beat not long ago, with how long ago it was. Parameter: how many at the most. Touches: instance. */
export const listInstances = portable(
  'list-instances',
  `select instance_id, app, roles, version, state, report, beat_ms, started_at, last_seen_at, {now} as now_ms
    from instance order by app, started_at, instance_id limit $1::bigint`,
);

/**
 * Leases that changed hands against their holder's will, newest first. Parameters: of the last so many ms; null for all, or the first 37
 * characters that the names of a tenant's conversations have; limit. Touches: lease_history.
 */
export const listTakeovers = portable(
  'list-takeovers',
  `select kind, name, token, owner, taken_from, reason, at from lease_history
    where at > {now} - $1::bigint and reason in ('taken_over', 'lost')
      and ($2::text is null or (kind = 'conversation' and substr(name, 1, 37) = $2))
    order by at desc, id desc limit $3::bigint`,
);
