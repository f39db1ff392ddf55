import type { Statement } from '@tyrum/statestore';

/** Which of these tokens still hold. Parameters: their ids as a JSON list, now in ms. Touches: auth_token, tenant. */
export const findLiveTokens: Statement = {
  name: 'find-live-tokens',
  postgres: `
    select t.token_id::text as token_id from json_array_elements_text($1::json) as wanted(id)
    join auth_token t on t.token_id = wanted.id::uuid
    join tenant on tenant.tenant_id = t.tenant_id
    where t.revoked_at is null and (t.expires_at is null or t.expires_at > $2) and tenant.disabled_at is null`,
  sqlite: `
    select t.token_id from jsonb_each(?1) as wanted
    join auth_token t on t.token_id = wanted.value
    join tenant on tenant.tenant_id = t.tenant_id
    where t.revoked_at is null and (t.expires_at is null or t.expires_at > ?2) and tenant.disabled_at is null`,
};
