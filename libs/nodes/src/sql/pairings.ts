import { portable, type Statement } from '@tyrum/statestore';

/**
 * Notes that a device asks to be a node; a known one keeps its status. Parameters: tenant, node, motivation, label,
 * capabilities (JSON), how many devices of the tenant may wait. No row: too many wait already. Touches: node_pairing.
 */
export const requestPairing = portable(
  'request-pairing',
  `insert into node_pairing as n (tenant_id, node_id, status, motivation, label, capabilities, allowlist, requested_at,
    last_seen_at, updated_at)
  select $1::uuid, $2::text, 'awaiting_human', $3::text, $4::text, $5::text, '[]', {now}, {now}, {now}
  where $6::bigint > (select count(*) from node_pairing where tenant_id = $1::uuid and status = 'awaiting_human')
    or exists (select 1 from node_pairing where tenant_id = $1::uuid and node_id = $2::text)
  on conflict (tenant_id, node_id) do update set label = excluded.label, capabilities = excluded.capabilities,
    last_seen_at = excluded.last_seen_at
  returning *`,
);

/** One pairing, locked on Postgres until the transaction ends. Parameters: tenant, pairing. Touches: node_pairing. */
export const holdPairing: Statement = {
  name: 'hold-pairing',
  postgres: 'select * from node_pairing where tenant_id = $1 and pairing_id = $2 for update',
  sqlite: 'select * from node_pairing where tenant_id = ?1 and pairing_id = ?2',
};

/** Writes a decision. Parameters: tenant, pairing, status, trust level, allow-list (JSON), review (JSON). Touches: node_pairing. */
export const decidePairing = portable(
  'decide-pairing',
  `update node_pairing set status = $3, trust_level = $4, allowlist = $5, latest_review = $6,
    token_id = case when status = 'approved' and $3 = 'approved' then token_id end,
    token_used_at = case when status = 'approved' and $3 = 'approved' then token_used_at end, updated_at = {now}
  where tenant_id = $1 and pairing_id = $2 returning *`,
);

/**
 * The pairings of a tenant, newest first. Parameters: tenant, statuses (JSON list), the last page's last id or null, limit.
 * Touches: node_pairing.
 */
export const listPairings: Statement = {
  name: 'list-pairings',
  postgres: `select * from node_pairing where tenant_id = $1 and status in (select json_array_elements_text($2::json))
    and ($3::bigint is null or pairing_id < $3::bigint) order by pairing_id desc limit $4`,
  sqlite: `select * from node_pairing where tenant_id = ?1 and status in (select value from jsonb_each(?2))
    and (?3 is null or pairing_id < ?3) order by pairing_id desc limit ?4`,
};

/** The pairings of these devices, from a JSON list of {tenant_id, node_id}. Touches: node_pairing. */
export const findPairings: Statement = {
  name: 'find-pairings',
  postgres: `select p.* from node_pairing p
    join json_to_recordset($1::json) as d(tenant_id uuid, node_id text) using (tenant_id, node_id)`,
  sqlite: `select * from node_pairing
    where (tenant_id, node_id) in (select value ->> 'tenant_id', value ->> 'node_id' from jsonb_each(?1))`,
};

/**
 * Gives an approved pairing its token, unless it has one that has been used, or another edge was faster. Parameters: tenant,
 * pairing, new token's id, the token it has so far or null. Touches: node_pairing.
 */
export const claimToken = portable(
  'claim-token',
  `update node_pairing set token_id = $3::uuid
  where tenant_id = $1 and pairing_id = $2 and status = 'approved' and token_used_at is null
    and (token_id = $4::uuid or (token_id is null and $4::uuid is null)) returning pairing_id`,
);

/**
 * Puts another token in the place of the one an approved pairing has, used or not. Parameters: tenant, pairing, new token's id, the one
 * it has or null. Touches: node_pairing.
 */
export const replaceToken = portable(
  'replace-token',
  `update node_pairing set token_id = $3::uuid, token_used_at = null
  where tenant_id = $1 and pairing_id = $2 and status = 'approved'
    and (token_id = $4::uuid or (token_id is null and $4::uuid is null)) returning pairing_id`,
);

/** The node has come with the token it was given. Parameters: tenant, node, token. Touches: node_pairing. */
export const confirmToken = portable(
  'confirm-token',
  `update node_pairing set token_used_at = coalesce(token_used_at, {now})
  where tenant_id = $1 and node_id = $2 and token_id = $3::uuid returning pairing_id`,
);

/** Ends the time of what a node was sent and nobody may repeat. Parameters: tenant, node. Touches: dispatch. */
export const cutDispatches = portable(
  'cut-dispatches',
  `update dispatch set deadline_at = {now} where tenant_id = $1 and node_id = $2 and state = 'sent' and effect = 'once'
  returning dispatch_id`,
);
