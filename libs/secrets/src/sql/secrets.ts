import { portable } from '@tyrum/statestore';

/** Parameters: tenant, key, description, key_id, wrapped_key, ciphertext, limit of a tenant, hosts as JSON. No row: it is there, or there are too many. Touches: secret. */
export const insertSecret = portable(
  'insert-secret',
  `insert into secret (tenant_id, key, description, hosts, version, key_id, wrapped_key, ciphertext, created_at, updated_at)
  select $1::uuid, $2::text, $3::text, $8::text, 1, $4::text, $5::text, $6::text, {now}, {now}
  where (select count(*) from secret where tenant_id = $1::uuid) < $7
  on conflict (tenant_id, key) do nothing
  returning key, description, hosts, version, created_at, updated_at`,
);

/** Parameters: tenant, key, key_id, wrapped_key, ciphertext. Touches: secret. */
export const renewSecret = portable(
  'renew-secret',
  `update secret set version = version + 1, key_id = $3, wrapped_key = $4, ciphertext = $5, updated_at = {now}
  where tenant_id = $1 and key = $2
  returning key, description, hosts, version, created_at, updated_at`,
);

/** Parameters: tenant, key. Touches: secret. */
export const deleteSecret = portable(
  'delete-secret',
  `delete from secret where tenant_id = $1 and key = $2 returning key`,
);

/** A page by key. Parameters: tenant, the key to go on after ('' from the start), limit. Touches: secret. */
export const listSecrets = portable(
  'list-secrets',
  `select key, description, hosts, version, created_at, updated_at from secret
  where tenant_id = $1 and key > $2 order by key limit $3`,
);

/** Parameters: tenant, key. Touches: secret. */
export const findSecret = portable(
  'find-secret',
  `select key, description, hosts, version, created_at, updated_at, key_id, wrapped_key, ciphertext from secret
  where tenant_id = $1 and key = $2`,
);

/** Those under other keys than one of the ring. Parameters: its id, the tenant and key to go on after, limit. Touches: secret. */
export const findOutdated = portable(
  'find-outdated-secrets',
  `select tenant_id, key, key_id, wrapped_key, ciphertext from secret
  where key_id <> $1 and (tenant_id, key) > ($2::uuid, $3::text) order by tenant_id, key limit $4`,
);

/** Unless it was renewed meanwhile. Parameters: tenant, key, the wrapped key that was read, key_id, wrapped_key. Touches: secret. */
export const rewrapSecret = portable(
  'rewrap-secret',
  `update secret set key_id = $4, wrapped_key = $5 where tenant_id = $1 and key = $2 and wrapped_key = $3 returning key`,
);
