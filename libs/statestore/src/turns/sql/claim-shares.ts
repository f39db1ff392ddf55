import type { Statement } from '../../state-store';

/**
 * Sets what a tenant (agent '') or one of its agents gets of the workers. Parameters: tenant, agent, weight, most
 * conversations running at once or null. Touches: claim_share.
 */
export const setClaimShare: Statement = {
  name: 'set-claim-share',
  postgres: `insert into claim_share (tenant_id, agent_key, weight, max_running) values ($1, $2, $3, $4)
    on conflict (tenant_id, agent_key) do update set weight = excluded.weight, max_running = excluded.max_running`,
  sqlite: `insert into claim_share (tenant_id, agent_key, weight, max_running) values (?1, ?2, ?3, ?4)
    on conflict (tenant_id, agent_key) do update set weight = excluded.weight, max_running = excluded.max_running`,
};

/** A tenant's shares, the tenant's own first. Parameters: tenant, limit. Touches: claim_share. */
export const listClaimShares: Statement = {
  name: 'list-claim-shares',
  postgres: 'select * from claim_share where tenant_id = $1 order by agent_key limit $2',
  sqlite: 'select * from claim_share where tenant_id = ?1 order by agent_key limit ?2',
};
