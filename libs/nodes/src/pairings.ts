import { appendEvents } from '@tyrum/outbox';
import {
  PAIRING_STATUSES,
  WireError,
  type Capability,
  type Pairing,
  type PairingStatus,
  type Review,
  type TrustLevel,
} from '@tyrum/protocol';
import type { Reader, StateStore, Tx } from '@tyrum/statestore';
import { toPairing, type PairingRow } from './pairing-view';
import {
  claimToken,
  confirmToken,
  cutDispatches,
  decidePairing,
  findPairings,
  holdPairing,
  listPairings,
  replaceToken,
  requestPairing,
} from './sql/pairings';

/** A device that wants to be a node. */
export interface PairingRequest {
  readonly tenantId: string;
  readonly nodeId: string;
  readonly label?: string;
  readonly capabilities: readonly Capability[];
}

export type PairingDecision =
  | { readonly kind: 'approve'; readonly trustLevel: TrustLevel; readonly allowlist: readonly Capability[] }
  | { readonly kind: 'deny' | 'revoke' };

/** Who decides, and why. */
export interface Decider {
  /** A token's or a device's id; for the audit. */
  readonly by: string;
  readonly reason?: string;
}

/** Issues and ends the tokens that nodes get when they are approved; `@tyrum/identity` does. */
export interface NodeTokens {
  /** Writes the row of a new token for that device and returns the token: its secret exists in this answer only. */
  issueIn(tx: Tx, request: { tenantId: string; deviceId: string }): Promise<{ tokenId: string; token: string }>;
  revokeIn(tx: Tx, tenantId: string, tokenId: string): Promise<void>;
}

/** Told, in its transaction, what was decided. */
export type PairingWitness = (tx: Tx, pairing: Pairing & { tenantId: string }, decider: Decider) => Promise<unknown>;

export interface PairingPorts {
  readonly store: StateStore;
  readonly tokens: NodeTokens;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly witness?: PairingWitness;
}

/** Devices of a tenant that may wait for a decision: whoever holds a node's token can make up any number of them. */
const MAX_AWAITING = 1_000;

/** A part of a tenant's pairings. */
export interface PairingPage {
  readonly statuses?: readonly PairingStatus[];
  readonly limit: number;
  readonly after?: number;
}
const MOTIVATION = 'a device asks to be a node';

const MAY_FOLLOW: Readonly<Record<PairingDecision['kind'], readonly PairingStatus[]>> = {
  // An operator may change their mind, and the allow-list of a node that is trusted already.
  approve: PAIRING_STATUSES,
  deny: ['queued', 'reviewing', 'awaiting_human', 'denied'],
  revoke: ['approved', 'revoked'],
};
const STATUS_AFTER = { approve: 'approved', deny: 'denied', revoke: 'revoked' } as const;

/**
 * Which devices are trusted with what.
 *
 *     first connect ──▶ awaiting_human ──approve──▶ approved ──revoke──▶ revoked
 *                            └──deny──▶ denied                             │
 *                                          └────────── approve ────────────┴──▶ approved
 *
 * An approved node gets a token of its own. Its secret is never written down: the edge that holds the node's connection makes
 * it there and then (`token`), and makes another in its place as long as the node has not come with it.
 */
export class Pairings {
  constructor(private readonly ports: PairingPorts) {}

  /** Notes the request, or that a known device is there. @throws {WireError} overloaded when too many wait for a decision */
  request(request: PairingRequest): Promise<PairingRow> {
    return this.ports.store.transaction((tx) => this.requestIn(tx, request));
  }

  /** The same inside the caller's transaction. */
  async requestIn(tx: Tx, { tenantId, nodeId, label, capabilities }: PairingRequest): Promise<PairingRow> {
    const [before] = await this.findIn(tx, [{ tenantId, nodeId }]);
    const params = [tenantId, nodeId, MOTIVATION, label ?? null, JSON.stringify(capabilities), MAX_AWAITING];
    const [row] = await tx.query<PairingRow>(requestPairing, params);
    if (!row) throw new WireError('overloaded', 'too many devices wait to be paired');
    if (before?.capabilities !== row.capabilities) await this.tell(tx, row);
    return row;
  }

  /** Newest first; `after` is the last one's id of the page before. */
  async list(tenantId: string, { statuses = PAIRING_STATUSES, limit, after }: PairingPage): Promise<Pairing[]> {
    const params = [tenantId, JSON.stringify(statuses), after ?? null, limit];
    const rows = await this.ports.store.read((db) => db.query<PairingRow>(listPairings, params));
    return rows.map(toPairing);
  }

  /** What is decided about these devices, in no order; those nobody knows are left out. */
  find(devices: readonly { tenantId: string; nodeId: string }[]): Promise<PairingRow[]> {
    return this.ports.store.read((db) => this.findIn(db, devices));
  }

  /** The same with the caller's connection. */
  findIn(db: Reader, devices: readonly { tenantId: string; nodeId: string }[]): Promise<PairingRow[]> {
    const names = devices.map(({ tenantId, nodeId }) => ({ tenant_id: tenantId, node_id: nodeId }));
    return db.query<PairingRow>(findPairings, [JSON.stringify(names)]);
  }

  /**
   * Decides, inside the caller's transaction. Deciding the same again changes nothing. Publish `nodes` after the commit.
   * @throws {WireError} not_found; conflict when its status does not allow it
   */
  async decideIn(
    tx: Tx,
    tenantId: string,
    pairingId: number,
    decision: PairingDecision & { readonly decider: Decider },
  ): Promise<Pairing> {
    const [row] = await tx.query<PairingRow>(holdPairing, [tenantId, pairingId]);
    if (!row) throw new WireError('not_found', 'there is no such pairing');
    const { kind, decider } = decision;
    if (!MAY_FOLLOW[kind].includes(row.status)) {
      throw new WireError('conflict', `a pairing that is ${row.status} cannot be ${STATUS_AFTER[kind]}`);
    }
    if (kind !== 'approve' && row.status === STATUS_AFTER[kind]) return toPairing(row);
    const keepsToken = kind === 'approve' && row.status === 'approved';
    if (row.token_id !== null && !keepsToken) await this.ports.tokens.revokeIn(tx, tenantId, row.token_id);
    if (kind === 'revoke') await tx.query(cutDispatches, [tenantId, row.node_id]);
    const trust = kind === 'approve' ? decision.trustLevel : row.trust_level;
    const allowlist = kind === 'approve' ? JSON.stringify(decision.allowlist) : '[]';
    const review = JSON.stringify(this.review(STATUS_AFTER[kind], decider));
    const params = [tenantId, pairingId, STATUS_AFTER[kind], trust, allowlist, review];
    const [decided] = await tx.query<PairingRow>(decidePairing, params);
    if (!decided) throw new Error('a pairing under our lock stays');
    await this.tell(tx, decided);
    const pairing = toPairing(decided);
    await this.ports.witness?.(tx, { ...pairing, tenantId }, decider);
    return pairing;
  }

  /**
   * The approved node's own token, to be sent to it and to nobody else; undefined when it has one already, because it has
   * come with it or because another edge was faster. Whoever gets it here is the only one who has it.
   */
  token(row: PairingRow): Promise<string | undefined> {
    if (row.status !== 'approved' || row.token_used_at !== null) return Promise.resolve(undefined);
    return this.ports.store.transaction(async (tx) => {
      const deviceId = row.node_id;
      const { tokenId, token } = await this.ports.tokens.issueIn(tx, { tenantId: row.tenant_id, deviceId });
      const claimed = await tx.query(claimToken, [row.tenant_id, row.pairing_id, tokenId, row.token_id]);
      if (claimed.length === 0) {
        await this.ports.tokens.revokeIn(tx, row.tenant_id, tokenId);
        return undefined;
      }
      // Sent once and never heard of again: the node that asks with another token has not got it.
      if (row.token_id !== null) await this.ports.tokens.revokeIn(tx, row.tenant_id, row.token_id);
      return token;
    });
  }

  /**
   * A token for an approved node in the place of the one it has, which ends: for whoever keeps the node's key itself, and has lost
   * its token. @throws {WireError} conflict when another was faster, or it is not approved any more
   */
  renewToken({ tenant_id: tenantId, pairing_id, node_id: deviceId, token_id: before }: PairingRow): Promise<string> {
    return this.ports.store.transaction(async (tx) => {
      const { tokenId, token } = await this.ports.tokens.issueIn(tx, { tenantId, deviceId });
      const renewed = await tx.query(replaceToken, [tenantId, pairing_id, tokenId, before]);
      if (renewed.length === 0) throw new WireError('conflict', 'the pairing has changed meanwhile');
      if (before !== null) await this.ports.tokens.revokeIn(tx, tenantId, before);
      return token;
    });
  }

  /** A node has come with the token it was given. False: that token is not its own. */
  async confirm(tenantId: string, nodeId: string, tokenId: string): Promise<boolean> {
    return (await this.ports.store.execute(confirmToken, [tenantId, nodeId, tokenId])).length > 0;
  }

  private tell(tx: Tx, row: PairingRow): Promise<unknown> {
    const event = {
      eventId: this.ports.newId(),
      tenantId: row.tenant_id,
      type: 'pairing.updated',
      scope: { kind: 'global' },
      payload: { pairing: toPairing(row) },
      occurredAt: this.ports.nowMs(),
    } as const;
    return appendEvents(tx, [event]);
  }

  private review(state: PairingStatus, { reason }: Decider): Review {
    return {
      review_id: this.ports.newId(),
      reviewer_kind: 'human',
      state,
      ...(reason === undefined ? {} : { reason }),
      created_at: new Date(this.ports.nowMs()).toISOString(),
    };
  }
}
