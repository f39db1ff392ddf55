import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backplane } from '@tyrum/backplane';
import { openDeviceIdentity, type DeviceIdentity } from '@tyrum/client';
import { noteAudit } from '@tyrum/evidence';
import type { TokenStore } from '@tyrum/identity';
import type { PairingRow, Pairings } from '@tyrum/nodes';
import type { StateStore, Tx } from '@tyrum/statestore';
import { labelOf, type EnvironmentRow } from '../environment-row';
import { DESKTOP_CAPABILITIES } from './desktop-capabilities';
import { DesktopUnavailableError } from './desktop-driver';

export interface EnrolmentPorts {
  readonly store: StateStore;
  readonly pairings: Pairings;
  readonly tokens: TokenStore;
  readonly backplane: Backplane;
  /** For the audit. */
  readonly hostId: string;
}

/** What a desktop connects to an edge with. */
export interface Enrolled {
  readonly identity: DeviceIdentity;
  readonly token: string;
  /** Keeps the token that an edge gave it in the place of this one. */
  keep(token: string): void;
}

/**
 * Makes a desktop a paired node. Whoever created it has thereby decided that it may be one, so that a device nobody has seen before is
 * approved, in one commit; what an operator decides about it afterwards holds: a node that was turned away stays so.
 */
export class Enrolment {
  constructor(private readonly ports: EnrolmentPorts) {}

  /** @param directory for its key and token, of this placement alone @throws {DesktopUnavailableError} it was turned away */
  async enrol(row: EnvironmentRow, directory: string): Promise<Enrolled> {
    const identity = await openDeviceIdentity(join(directory, 'device.pem'));
    const file = join(directory, 'token');
    const keep = (token: string): void => void writeFile(file, token, { mode: 0o600 }).catch(() => undefined);
    const pairing = await this.pair(row, identity.deviceId);
    if (pairing.status !== 'approved') {
      throw new DesktopUnavailableError(
        `its pairing ${pairing.pairing_id} is ${pairing.status}: approve it to have it back`,
      );
    }
    const kept = await readIfThere(file);
    const token = kept !== undefined && (await this.isOurs(kept, pairing)) ? kept : await this.newToken(pairing);
    await writeFile(file, token, { mode: 0o600 });
    return { identity, token, keep };
  }

  private async pair(row: EnvironmentRow, nodeId: string): Promise<PairingRow> {
    const { store, pairings, backplane } = this.ports;
    const { tenant_id: tenantId } = row;
    const wish = { tenantId, nodeId, capabilities: DESKTOP_CAPABILITIES, label: labelOf(row) };
    const paired = await store.transaction(async (tx) => {
      const [known] = await pairings.findIn(tx, [{ tenantId, nodeId }]);
      const asked = await pairings.requestIn(tx, wish);
      if (!known) await this.approve(tx, asked);
      const [now] = await pairings.findIn(tx, [{ tenantId, nodeId }]);
      return now ?? asked;
    });
    backplane.publish('nodes');
    backplane.publish('outbox');
    return paired;
  }

  private async approve(tx: Tx, { tenant_id: tenantId, pairing_id: id, node_id }: PairingRow): Promise<void> {
    const actor = `desktop-host:${this.ports.hostId}`;
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

  /** @throws {DesktopUnavailableError} */
  private async newToken(pairing: PairingRow): Promise<string> {
    const token = await this.ports.pairings.token(pairing);
    if (token !== undefined) return token;
    // It has come with one already, which is lost: the files were, or somebody revoked it.
    throw new DesktopUnavailableError(`its token is gone: move it, or approve its pairing ${pairing.pairing_id} anew`);
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
