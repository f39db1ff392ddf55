import type { Statement } from '@tyrum/statestore';

/** The sessions of a subject that still hold, newest first. Parameters: subject, now in ms. Touches: auth_token. */
export const findSessions: Statement = {
  name: 'find-sessions',
  postgres: `
    select tenant_id, token_id, role, scopes::text as scopes from auth_token
    where subject = $1 and revoked_at is null and expires_at > $2 order by created_at desc, token_id`,
  sqlite: `
    select tenant_id, token_id, role, scopes from auth_token
    where subject = ?1 and revoked_at is null and expires_at > ?2 order by created_at desc, token_id`,
};
