import type { HeldLease, Leases } from '@tyrum/leases';
import type { Param, StateStore, Statement, Tx } from '@tyrum/statestore';
import type { EnvironmentRow } from '../environment-row';
import { dropEnvironment, findHostsWork, nameNode, noteEnvironment, takeUpEnvironments } from '../sql/environments';

/** What a host says of a desktop. */
export interface Report {
  readonly status: EnvironmentRow['status'];
  readonly error?: string;
}

/** What a host reads and writes of desktops. Every write is behind the host's lease: a process that lost it changes nothing. */
export class Placements {
  constructor(
    private readonly store: StateStore,
    private readonly leases: Leases,
    readonly hostId: string,
  ) {}

  /** Its own, and those that no host has yet. */
  work(): Promise<EnvironmentRow[]> {
    return this.store.read((db) => db.query<EnvironmentRow>(findHostsWork, [this.hostId]));
  }

  /** Takes up at most so many of a tenant's that no host has. */
  takeUp(lease: HeldLease, tenantId: string, count: number): Promise<EnvironmentRow[]> {
    return this.fenced<EnvironmentRow>(lease, takeUpEnvironments, [this.hostId, count, tenantId]);
  }

  /** False = an operator has said something else since, or it is no longer ours. */
  async note(lease: HeldLease, row: EnvironmentRow, { status, error }: Report): Promise<boolean> {
    const params = [row.tenant_id, row.environment_id, this.hostId, row.generation, status, error ?? null];
    return (await this.fenced(lease, noteEnvironment, params)).length > 0;
  }

  /** Says, inside the caller's transaction, which node it is. False = it is no longer ours, or not wanted any more. */
  async nameNodeIn(tx: Tx, lease: HeldLease, row: EnvironmentRow, nodeId: string): Promise<boolean> {
    if (!(await this.leases.isHeld(tx, lease))) return false;
    const params = [row.tenant_id, row.environment_id, this.hostId, row.placement, nodeId];
    return (await tx.query(nameNode, params)).length > 0;
  }

  /** Nothing of a deleted one is left here. */
  async drop(lease: HeldLease, { tenant_id, environment_id }: EnvironmentRow): Promise<void> {
    await this.fenced(lease, dropEnvironment, [tenant_id, environment_id, this.hostId]);
  }

  private fenced<T>(lease: HeldLease, statement: Statement, params: readonly Param[]): Promise<T[]> {
    return this.store.transaction(async (tx) =>
      (await this.leases.isHeld(tx, lease)) ? tx.query<T>(statement, params) : [],
    );
  }
}
