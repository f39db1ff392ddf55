import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Extends the leases still held and returns them. Parameters: JSON list of {kind, name, token}, owner, TTL in ms. Touches: lease. */
export const renewLeases: Statement = {
  name: 'renew-leases',
  postgres: `
    update lease l set expires_at = ${NOW_MS.postgres} + $3::bigint
    from json_to_recordset($1::json) as held(kind text, name text, token bigint)
    where l.kind = held.kind and l.name = held.name and l.token = held.token and l.owner = $2
    returning l.kind, l.name`,
  sqlite: `
    update lease set expires_at = ${NOW_MS.sqlite} + ?3
    where owner = ?2 and (kind, name, token) in
      (select value ->> 'kind', value ->> 'name', value ->> 'token' from jsonb_each(?1))
    returning kind, name`.trim(),
};

/** Lets a lease go, if it is still held. The token stays, so that the next holder's is higher. Parameters: kind, name, token. Touches: lease, lease_history. */
export const releaseLease: Statement = {
  name: 'release-lease',
  postgres: `
    with released as (
      update lease l set owner = null, expires_at = 0 from lease before
      where l.kind = $1 and l.name = $2 and l.token = $3 and l.owner is not null
        and before.kind = l.kind and before.name = l.name
      returning before.owner)
    insert into lease_history (kind, name, token, owner, taken_from, reason, at)
    select $1, $2, $3, owner, null, 'released', ${NOW_MS.postgres} from released`,
  sqlite: [
    `insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select kind, name, token, owner, null, 'released', ${NOW_MS.sqlite} from lease
      where kind = ?1 and name = ?2 and token = ?3 and owner is not null`,
    `update lease set owner = null, expires_at = 0 where kind = ?1 and name = ?2 and token = ?3`,
  ],
};

/** The fence: locks the lease's row and returns it if the token is current. Parameters: kind, name, token. Touches: lease. */
export const holdLease: Statement = {
  name: 'hold-lease',
  postgres: 'select token from lease where kind = $1 and name = $2 and token = $3 and owner is not null for update',
  sqlite: 'select token from lease where kind = ?1 and name = ?2 and token = ?3 and owner is not null',
};

/** Leases with their state by the database's clock. Parameters: kind, null for all; limit. Touches: lease. */
export const listLeases: Statement = {
  name: 'list-leases',
  postgres: `select kind, name, owner, token, expires_at, acquired_at, owner is not null and expires_at > ${NOW_MS.postgres} as held
    from lease where ($1::text is null or kind = $1) and ($2::text is null or (kind, name) > ($2::text, $3::text))
    order by kind, name limit $4`,
  sqlite: `select kind, name, owner, token, expires_at, acquired_at, owner is not null and expires_at > ${NOW_MS.sqlite} as held
    from lease where (?1 is null or kind = ?1) and (?2 is null or (kind, name) > (?2, ?3)) order by kind, name limit ?4`,
};

/** Who held a lease, newest first. Parameters: kind, name, the last page's last id or null, limit. Touches: lease_history. */
export const listLeaseHistory: Statement = {
  name: 'list-lease-history',
  postgres: `select id, token, owner, taken_from, reason, at from lease_history where kind = $1 and name = $2
    and ($3::bigint is null or id < $3::bigint) order by id desc limit $4`,
  sqlite: `select id, token, owner, taken_from, reason, at from lease_history where kind = ?1 and name = ?2
    and (?3 is null or id < ?3) order by id desc limit ?4`,
};

/** Deletes a batch of history past an age and returns it. Parameters: age in ms, limit. Touches: lease_history. */
export const pruneLeaseHistory: Statement = {
  name: 'prune-lease-history',
  postgres: `
    delete from lease_history where id in (
      select id from lease_history where at < (select ${NOW_MS.postgres} - $1::bigint) order by at limit $2)
    returning id`,
  sqlite: `
    delete from lease_history where id in (
      select id from lease_history where at < ${NOW_MS.sqlite} - ?1 order by at limit ?2)
    returning id`.trim(),
};
