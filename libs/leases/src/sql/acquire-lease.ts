import { LEAST_TOKEN, NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Takes a lease that is free, expired or the caller's own, under the next token, and notes how it came about. No row =
 * somebody else holds it. Parameters: kind, name, owner, TTL in ms. Touches: lease, lease_history,
 * server_timeline.
 */
export const acquireLease: Statement = {
  name: 'acquire-lease',
  // `before` locks the row, so that whom the lease is taken from is known for certain; counting it makes it run first.
  postgres: `
    with before as materialized (select owner from lease where kind = $1 and name = $2 for update),
    taken as (
      insert into lease as l (kind, name, owner, token, expires_at, acquired_at)
      select $1, $2, $3, ${LEAST_TOKEN} + 1, ${NOW_MS.postgres} + $4::bigint, ${NOW_MS.postgres}
      from (select count(*) from before) as locked
      on conflict (kind, name) do update set owner = excluded.owner, token = greatest(l.token + 1, excluded.token),
        expires_at = ${NOW_MS.postgres} + $4::bigint, acquired_at = ${NOW_MS.postgres}
      where l.owner is null or l.owner = excluded.owner or l.expires_at <= ${NOW_MS.postgres}
      returning token),
    noted as (
      insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select $1, $2, taken.token, $3, before.owner,
        case when before.owner is null or before.owner = $3 then 'acquired' else 'taken_over' end, ${NOW_MS.postgres}
      from taken left join before on true)
    select token from taken`,
  // The note decides and the lease follows it: asked twice, the clock could give two answers.
  sqlite: [
    `insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select ?1, ?2, coalesce(l.token, 0) + 1, ?3, l.owner,
        case when l.owner is null or l.owner = ?3 then 'acquired' else 'taken_over' end, ${NOW_MS.sqlite}
      from (select 1) left join lease l on l.kind = ?1 and l.name = ?2
      where ?4 > 0 and (l.owner is null or l.owner = ?3 or l.expires_at <= ${NOW_MS.sqlite})`,
    `insert into lease as l (kind, name, owner, token, expires_at, acquired_at)
      values (?1, ?2, ?3, 1, ${NOW_MS.sqlite} + ?4, ${NOW_MS.sqlite})
      on conflict (kind, name) do update set owner = excluded.owner, token = l.token + 1,
        expires_at = excluded.expires_at, acquired_at = excluded.acquired_at
      where exists (
        select 1 from lease_history h where h.kind = ?1 and h.name = ?2 and h.token = l.token + 1 and h.owner = ?3)
      returning token`,
  ],
};
