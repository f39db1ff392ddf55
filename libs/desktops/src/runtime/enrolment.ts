import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backplane } from '@tyrum/backplane';
import { openDeviceIdentity, type DeviceIdentity } from '@tyrum/client';
import { noteAudit } from '@tyrum/evidence';
import type { TokenStore } from '@tyrum/identity';
import type { HeldLease } from '@tyrum/leases';
import type { PairingRow, Pairings } from '@tyrum/nodes';
import type { StateStore, Tx } from '@tyrum/statestore';
import { labelOf, type EnvironmentRow } from '../environment-row';
import { DESKTOP_CAPABILITIES } from './desktop-capabilities';
import { revokeNode } from '../revoke-node';
import { DesktopUnavailableError } from './desktop-driver';
import type { Placements } from './placements';

export interface EnrolmentPorts {
  readonly store: StateStore;
  readonly pairings: Pairings;
  readonly tokens: TokenStore;
  readonly backplane: Backplane;
  readonly placements: Placements;
}

/** What a desktop connects to an edge with. */
export interface Enrolled {
  readonly identity: DeviceIdentity;
  readonly token: string;
  /** Where the token is kept. */
  readonly file: string;
}

/**
 * Makes a desktop a paired node. Whoever created it has thereby decided that it may be one, so that a device nobody has seen before is
 * approved, in one commit; what an operator decides about it afterwards holds: a node that was turned away stays so.
 */
export class Enrolment {
  constructor(private readonly ports: EnrolmentPorts) {}

  /**
   * @param how.directory for its key and token, of this placement alone @param how.lease on this host
   * @throws {DesktopUnavailableError} it was turned away, or is no longer this host's
   */
  async enrol(
    row: EnvironmentRow,
    { directory, lease }: { readonly directory: string; readonly lease: HeldLease },
  ): Promise<Enrolled> {
    const identity = await openDeviceIdentity(join(directory, 'device.pem'));
    const file = join(directory, 'token');
    const pairing = await this.pair(row, identity.deviceId, lease);
    if (pairing.status !== 'approved') {
      throw new DesktopUnavailableError(
        `its pairing ${pairing.pairing_id} is ${pairing.status}: approve it to have it back`,
      );
    }
    const kept = await readIfThere(file);
    if (kept !== undefined && (await this.isOurs(kept, pairing))) return { identity, token: kept, file };
    // It has none, or none that holds any more: a crash came before it was kept, or its pairing was revoked and approved again.
    const token = await this.ports.pairings.renewToken(pairing);
    await keepToken(file, token);
    return { identity, token, file };
  }

  /** In one commit: which node this desktop is, that it asks to be one, and that it may. */
  private async pair(row: EnvironmentRow, nodeId: string, lease: HeldLease): Promise<PairingRow> {
    const { store, pairings, placements, backplane } = this.ports;
    const { tenant_id: tenantId, node_id: before } = row;
    const wish = { tenantId, nodeId, capabilities: DESKTOP_CAPABILITIES, label: labelOf(row) };
    const paired = await store.transaction(async (tx) => {
      if (!(await placements.nameNodeIn(tx, lease, row, nodeId)))
        throw new DesktopUnavailableError('it is no longer wanted here');
      if (before !== null && before !== nodeId)
        await revokeNode(tx, pairings, { tenantId, nodeId: before, actor: this.actor });
      const [known] = await pairings.findIn(tx, [{ tenantId, nodeId }]);
      const asked = await pairings.requestIn(tx, wish);
      if (known) return asked;
      await this.approve(tx, asked);
      const [approved] = await pairings.findIn(tx, [{ tenantId, nodeId }]);
      return approved ?? asked;
    });
    backplane.publish('nodes');
    backplane.publish('outbox');
    return paired;
  }

  private async approve(tx: Tx, { tenant_id: tenantId, pairing_id: id, node_id }: PairingRow): Promise<void> {
    const { actor } = this;
    const decider = { by: actor, reason: 'a desktop of this tenant' };
    const decision = { kind: 'approve', trustLevel: 'local', allowlist: DESKTOP_CAPABILITIES, decider } as const;
    await this.ports.pairings.decideIn(tx, tenantId, id, decision);
    const detail = { node_id, allowlist: DESKTOP_CAPABILITIES };
    await noteAudit(tx, [{ tenantId, type: 'pairing.approved', actor, subject: `pairing:${id}`, detail }]);
  }

  /** A token that is kept here may have been revoked, with its pairing or by hand. */
  private async isOurs(token: string, { token_id }: PairingRow): Promise<boolean> {
    return (await this.ports.tokens.verify(token))?.tokenId === token_id;
  }

  private get actor(): string {
    return `desktop-host:${this.ports.placements.hostId}`;
  }
}

/** In one step and onto the disk: half a token is none, and its node would be locked out. */
export async function keepToken(path: string, token: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, token, { mode: 0o600, flush: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
