import { portable } from '@tyrum/statestore';

/**
 * A tenant's tokens, newest first: those that were issued, also when they ended, and of sessions only those that hold. Otherwise
 * a month of log-ins would push out what somebody may have to revoke. Parameters: tenant, now in ms, the last page's last
 * created_at or null and id, limit. Touches: auth_token.
 */
export const listTokens = portable(
  'list-tokens',
  `select token_id, tenant_id, role, scopes, label, device_id, subject, created_at, expires_at, revoked_at
  from auth_token
  where tenant_id = $1 and (subject is null or (revoked_at is null and expires_at > $2))
    and ($3::bigint is null or (created_at, token_id) < ($3::bigint, $4::uuid))
  order by created_at desc, token_id desc limit $5`,
);
