import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Begins a record for a key that is free or whose time is up, and returns the key. The record's row is locked either way.
 * Parameters: tenant, route, principal, key, fingerprint, owner, hold in ms. Touches: idempotency_record.
 */
export const beginKey: Statement = {
  name: 'begin-key',
  postgres: begin(NOW_MS.postgres, ['$1', '$2', '$3', '$4', '$5', '$6', '$7::bigint']),
  sqlite: begin(NOW_MS.sqlite, ['?1', '?2', '?3', '?4', '?5', '?6', '?7']),
};

function begin(now: string, [tenant, route, principal, key, fingerprint, owner, holdMs]: string[]): string {
  return `insert into idempotency_record as r
      (tenant_id, route, principal, key, fingerprint, status, owner, created_at, expires_at)
    values (${tenant}, ${route}, ${principal}, ${key}, ${fingerprint}, 'in_flight', ${owner}, ${now}, ${now} + ${holdMs})
    on conflict (tenant_id, route, principal, key) do update set fingerprint = excluded.fingerprint, status = 'in_flight',
      owner = excluded.owner, response = null, created_at = excluded.created_at, expires_at = excluded.expires_at
    where r.expires_at < ${now}
    returning key`;
}

/**
 * Completes a record that its owner still holds, and returns the key. Parameters: tenant, route, principal, key, owner,
 * response, TTL in ms. Touches: idempotency_record.
 */
export const completeKey: Statement = {
  name: 'complete-key',
  postgres: `
    update idempotency_record set status = 'completed', owner = null, response = $6, expires_at = ${NOW_MS.postgres} + $7::bigint
    where tenant_id = $1 and route = $2 and principal = $3 and key = $4 and owner = $5
    returning key`,
  sqlite: `
    update idempotency_record set status = 'completed', owner = null, response = ?6, expires_at = ${NOW_MS.sqlite} + ?7
    where tenant_id = ?1 and route = ?2 and principal = ?3 and key = ?4 and owner = ?5
    returning key`.trim(),
};

/** Frees a key that its owner still holds, and returns it. Parameters: tenant, route, principal, key, owner. Touches: idempotency_record. */
export const abandonKey: Statement = {
  name: 'abandon-key',
  postgres: `
    delete from idempotency_record
    where tenant_id = $1 and route = $2 and principal = $3 and key = $4 and owner = $5 returning key`,
  sqlite: `
    delete from idempotency_record
    where tenant_id = ?1 and route = ?2 and principal = ?3 and key = ?4 and owner = ?5 returning key`.trim(),
};
