import { NOW_MS, rowsOf, type Statement } from '@tyrum/statestore';

const columns = {
  tenant_id: 'uuid',
  route: 'text',
  principal: 'text',
  key: 'text',
  fingerprint: 'text',
  response: 'text',
  ttl_ms: 'bigint',
} as const;

/**
 * Inserts completed records for those of a list of keys that are free, and returns the keys it took. A key that another open transaction is inserting is waited for; everybody
 * inserts in key order, so that two batches cannot wait for each other. Touches: idempotency_record.
 */
const target = `insert into idempotency_record as r (tenant_id, route, principal, key, fingerprint, status, response, created_at, expires_at)`;
const ending = (
  now: string,
) => `on conflict (tenant_id, route, principal, key) do update set fingerprint = excluded.fingerprint,
    status = excluded.status, response = excluded.response, created_at = excluded.created_at, expires_at = excluded.expires_at, owner = null
    where r.expires_at < ${now}
  returning tenant_id, route, principal, key`;

export const reserveKeys: Statement = {
  name: 'reserve-keys',
  columns: Object.keys(columns),
  postgres: `${target}
    select tenant_id, route, principal, key, fingerprint, 'completed', response, ${NOW_MS.postgres}, ${NOW_MS.postgres} + ttl_ms
    from ${rowsOf(columns)} as i
    order by tenant_id, route, principal, key
    ${ending(NOW_MS.postgres)}`,
  sqlite: `${target}
    select value ->> 'tenant_id', value ->> 'route', value ->> 'principal', value ->> 'key', value ->> 'fingerprint',
      'completed', value ->> 'response', ${NOW_MS.sqlite}, ${NOW_MS.sqlite} + (value ->> 'ttl_ms')
    from jsonb_each(?1) where true
    ${ending(NOW_MS.sqlite)}`,
};

/** The records of these keys. Takes the same list. Touches: idempotency_record. */
export const findKeys: Statement = {
  name: 'find-keys',
  postgres: `
    select r.* from idempotency_record r
    join json_to_recordset($1::json) as i(tenant_id uuid, route text, principal text, key text)
      using (tenant_id, route, principal, key)`,
  sqlite: `
    select r.* from jsonb_each(?1) i join idempotency_record r
      on r.tenant_id = i.value ->> 'tenant_id' and r.route = i.value ->> 'route'
      and r.principal = i.value ->> 'principal' and r.key = i.value ->> 'key'`,
};

const live = (now: string, [tenant, route, principal, key]: string[]) => `
    select fingerprint, response from idempotency_record
    where tenant_id = ${tenant} and route = ${route} and principal = ${principal} and key = ${key} and expires_at >= ${now}`;

/** The record of a key whose time is not up. Parameters: tenant, route, principal, key. Touches: idempotency_record. */
export const findLiveKey: Statement = {
  name: 'find-live-key',
  postgres: live(NOW_MS.postgres, ['$1', '$2', '$3', '$4']),
  sqlite: live(NOW_MS.sqlite, ['?1', '?2', '?3', '?4']).trim(),
};

/** Sets the answer of a record that its own transaction reserved. Parameters: tenant, route, principal, key, response. Touches: idempotency_record. */
export const setResponse: Statement = {
  name: 'set-response',
  postgres: `update idempotency_record set response = $5 where tenant_id = $1 and route = $2 and principal = $3 and key = $4`,
  sqlite: `update idempotency_record set response = ?5 where tenant_id = ?1 and route = ?2 and principal = ?3 and key = ?4`,
};

/** Deletes a batch of expired records and returns them. Parameter: limit. Touches: idempotency_record. */
export const pruneKeys: Statement = {
  name: 'prune-keys',
  postgres: `
    delete from idempotency_record where (tenant_id, route, principal, key) in (
      select tenant_id, route, principal, key from idempotency_record where expires_at < (select ${NOW_MS.postgres})
      order by expires_at limit $1)
    returning key`,
  sqlite: `
    delete from idempotency_record where rowid in (
      select rowid from idempotency_record where expires_at < ${NOW_MS.sqlite} order by expires_at limit ?1)
    returning key`.trim(),
};
