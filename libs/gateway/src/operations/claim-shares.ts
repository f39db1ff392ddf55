import type { Backplane } from '@tyrum/backplane';
import { noteAudit } from '@tyrum/evidence';
import { isOperator, type Principal } from '@tyrum/identity';
import { ContractError, LIMITS, WireError, type ClaimShareBody, type ClaimShareView } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import type { TurnStore } from '@tyrum/statestore/turns';
import { hiddenFromTenants, notFound, RefusedError } from '../failures';
import { actorOf } from './once';

/**
 * What tenants and their agents get of the workers. A tenant's own share is what it competes with others by, so it is set by
 * those who run the installation: admins of the default tenant. Each tenant divides what it gets among its agents itself.
 */
export class ClaimShares {
  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly backplane: Backplane,
  ) {}

  /** Those that were set; the others are weight 1 without a cap. @throws {WireError} not_found */
  async list(caller: Principal, tenantId: string = caller.tenantId): Promise<ClaimShareView[]> {
    await this.requireTenant(caller, tenantId);
    const rows = await this.turns.listShares(tenantId, LIMITS.claimSharesPerTenant);
    return rows.map((row) => ({ ...row, agent_key: row.agent_key === '' ? null : row.agent_key }));
  }

  /** @throws {WireError} not_found, forbidden, conflict @throws {ContractError} a weight of an agent */
  async set(caller: Principal, body: ClaimShareBody): Promise<ClaimShareView> {
    const { tenant_id: tenantId = caller.tenantId, agent_key: agentKey, weight, max_running: maxRunning } = body;
    await this.requireTenant(caller, tenantId);
    if (agentKey === undefined && !isOperator(caller)) {
      throw new RefusedError('operator', 'forbidden', 'the share of a tenant is set by an admin of the default tenant');
    }
    if (agentKey !== undefined && weight !== undefined) {
      throw ContractError.at('body.weight', 'tenantOnly', 'is of a tenant only: agents have caps');
    }
    await this.requireRoom(tenantId, agentKey);
    await this.store.transaction(async (tx) => {
      await this.turns.setShare({
        tenantId,
        ...(agentKey === undefined ? {} : { agentKey }),
        ...(weight === undefined ? {} : { weight }),
        ...(maxRunning === undefined ? {} : { maxRunning }),
      });
      const detail = { agent_key: agentKey ?? null, weight: weight ?? null, max_running: maxRunning ?? null };
      const note = { type: 'share.set', actor: actorOf(caller), subject: `tenant:${tenantId}`, detail } as const;
      await noteAudit(tx, [{ ...note, tenantId: caller.tenantId }]);
    });
    // A cap may have been raised, or be there for the first time.
    this.backplane.publish('work');
    return { tenant_id: tenantId, agent_key: agentKey ?? null, weight: weight ?? 1, max_running: maxRunning ?? null };
  }

  /** Another tenant's is as if it were not there, but for those who run the installation. */
  private async requireTenant(caller: Principal, tenantId: string): Promise<void> {
    if (tenantId === caller.tenantId) return;
    if (!isOperator(caller)) throw hiddenFromTenants('tenant');
    const known = await this.store.read((db) => db.records(Tenants).existsBy({ tenant_id: tenantId }));
    if (!known) throw notFound('tenant');
  }

  private async requireRoom(tenantId: string, agentKey = ''): Promise<void> {
    const shares = await this.turns.listShares(tenantId, LIMITS.claimSharesPerTenant);
    const isNew = !shares.some((share) => share.agent_key === agentKey);
    if (isNew && shares.length >= LIMITS.claimSharesPerTenant) {
      throw new WireError('conflict', `a tenant has ${LIMITS.claimSharesPerTenant} shares at the most`);
    }
  }
}
