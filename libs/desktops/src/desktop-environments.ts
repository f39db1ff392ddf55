import type { Backplane } from '@tyrum/backplane';
import { noteAudit, type AuditNote } from '@tyrum/evidence';
import type { Pairings } from '@tyrum/nodes';
import {
  LIMITS,
  WireError,
  type DesktopCreateBody,
  type DesktopDesire,
  type DesktopEnvironment,
  type DesktopMoveBody,
} from '@tyrum/protocol';
import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { toEnvironment, type PlacedRow } from './environment-row';
import { revokeNode } from './revoke-node';
import {
  dropUnplaced,
  holdEnvironment,
  insertEnvironment,
  knowsHost,
  listEnvironments,
  moveEnvironment,
  wantEnvironment,
} from './sql/environments';

/** Whose desktop, and who does something with it, for the audit. */
export interface EnvironmentRef {
  readonly tenantId: string;
  readonly environmentId: string;
  readonly actor: string;
}

const SCREEN = { width: 1_280, height: 800 };

/**
 * What operators want of desktops. A row says what is wanted and what its host last said; the host reads the one and writes the
 * other (`runtime/desktop-reconciler.ts`), so that neither waits for the other.
 */
export class DesktopEnvironments {
  constructor(
    private readonly store: StateStore,
    private readonly pairings: Pick<Pairings, 'findIn' | 'decideIn'>,
    private readonly backplane: Pick<Backplane, 'publish'>,
  ) {}

  /** After the commit of a move: the connections of a node that was revoked are to be closed, wherever they are. */
  wake(): void {
    this.backplane.publish('nodes');
    this.backplane.publish('outbox');
  }

  /** A tenant's, oldest first. */
  async list(tenantId: string): Promise<DesktopEnvironment[]> {
    const rows = await this.store.read((db) => db.query<PlacedRow>(listEnvironments, [tenantId]));
    return rows.map(toEnvironment);
  }

  async find(tenantId: string, environmentId: string): Promise<DesktopEnvironment | undefined> {
    return (await this.list(tenantId)).find(({ environment_id }) => environment_id === environmentId);
  }

  /** @throws {WireError} not_found: there is no such host; conflict: there are too many desktops */
  async createIn(tx: Tx, ref: EnvironmentRef, wanted: DesktopCreateBody): Promise<DesktopEnvironment> {
    const { width, height, desired, label, host_id } = { ...SCREEN, desired: 'running' as const, ...wanted };
    await requireHost(tx, host_id);
    const status = desired === 'running' ? 'pending' : 'stopped';
    const params = [ref.tenantId, ref.environmentId, label ?? null, host_id ?? null, width, height, desired, status];
    const made = await tx.query(insertEnvironment, [...params, LIMITS.desktopsPerTenant]);
    if (made.length === 0) throw new WireError('conflict', `there are ${LIMITS.desktopsPerTenant} desktops`);
    await note(tx, 'desktop.created', ref, { desired, ...(host_id === undefined ? {} : { host_id }) });
    return this.shownIn(tx, ref);
  }

  /** @throws {WireError} not_found */
  async wantIn(tx: Tx, ref: EnvironmentRef, desired: DesktopDesire): Promise<DesktopEnvironment> {
    await hold(tx, ref);
    await tx.query(wantEnvironment, [ref.tenantId, ref.environmentId, desired]);
    await note(tx, desired === 'running' ? 'desktop.started' : 'desktop.stopped', ref);
    return this.shownIn(tx, ref);
  }

  /**
   * Gives it to another host. The node it was is revoked in the same commit: a host that is cut off and still runs it can do nothing
   * with it any more. Call `wake` after the commit.
   * @throws {WireError} not_found: there is no such desktop, or host
   */
  async moveIn(tx: Tx, ref: EnvironmentRef, { host_id: hostId }: DesktopMoveBody): Promise<DesktopEnvironment> {
    const row = await hold(tx, ref);
    await requireHost(tx, hostId);
    await tx.query(moveEnvironment, [ref.tenantId, ref.environmentId, hostId ?? null]);
    await this.revoke(tx, row, ref.actor);
    await note(tx, 'desktop.moved', ref, { from: row.host_id, to: hostId ?? null });
    return this.shownIn(tx, ref);
  }

  /** Deletes it; its host clears up. False = there is none. */
  async remove(ref: EnvironmentRef): Promise<boolean> {
    const isRemoved = await this.store.transaction(async (tx) => {
      const [row] = await tx.query<PlacedRow>(holdEnvironment, [ref.tenantId, ref.environmentId]);
      if (!row) return false;
      await tx.query(wantEnvironment, [ref.tenantId, ref.environmentId, 'absent']);
      await tx.query(dropUnplaced, [ref.tenantId, ref.environmentId]);
      await this.revoke(tx, row, ref.actor);
      await note(tx, 'desktop.deleted', ref);
      return true;
    });
    if (isRemoved) this.wake();
    return isRemoved;
  }

  private async revoke(tx: Tx, { tenant_id: tenantId, node_id: nodeId }: PlacedRow, actor: string): Promise<void> {
    if (nodeId !== null) await revokeNode(tx, this.pairings, { tenantId, nodeId, actor });
  }

  private async shownIn(tx: Reader, ref: EnvironmentRef): Promise<DesktopEnvironment> {
    return toEnvironment(await hold(tx, ref));
  }
}

/** @throws {WireError} not_found */
async function hold(db: Reader, { tenantId, environmentId }: EnvironmentRef): Promise<PlacedRow> {
  const [row] = await db.query<PlacedRow>(holdEnvironment, [tenantId, environmentId]);
  if (!row) throw new WireError('not_found', 'there is no such desktop');
  return row;
}

/** @throws {WireError} not_found */
async function requireHost(tx: Tx, hostId: string | undefined): Promise<void> {
  if (hostId === undefined) return;
  if ((await tx.query(knowsHost, [hostId])).length === 0) throw new WireError('not_found', 'there is no such host');
}

function note(
  tx: Tx,
  type: AuditNote['type'],
  { tenantId, environmentId, actor }: EnvironmentRef,
  detail?: AuditNote['detail'],
): Promise<unknown> {
  return noteAudit(tx, [{ tenantId, type, actor, subject: `desktop:${environmentId}`, ...(detail ? { detail } : {}) }]);
}
