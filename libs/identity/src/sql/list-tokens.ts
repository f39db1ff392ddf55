import type { Statement } from '@tyrum/statestore';

/**
 * A tenant's tokens, newest first: those that were issued, also when they ended, and of sessions only those that hold. Otherwise
 * a month of log-ins would push out what somebody may have to revoke. Parameters: tenant, now in ms, limit. Touches: auth_token.
 */
export const listTokens: Statement = {
  name: 'list-tokens',
  postgres: `
    select token_id, tenant_id, role, scopes, label, device_id, subject, created_at, expires_at, revoked_at
    from auth_token
    where tenant_id = $1 and (subject is null or (revoked_at is null and expires_at > $2))
    order by created_at desc, token_id limit $3`,
  sqlite: `
    select token_id, tenant_id, role, scopes, label, device_id, subject, created_at, expires_at, revoked_at
    from auth_token
    where tenant_id = ?1 and (subject is null or (revoked_at is null and expires_at > ?2))
    order by created_at desc, token_id limit ?3`,
};
