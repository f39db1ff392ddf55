import { PAIRING_STATUSES, type Capability, type Pairing, type PairingStatus, type TrustLevel } from './pairing';
import { PageQuery, type Page } from './page';
import { Optional, SomeOf } from './payload-fields';
import type { PresenceEntry } from './presence';

/** `GET /v1/pairings`. */
export class PairingListQuery extends PageQuery {
  @Optional()
  @SomeOf(PAIRING_STATUSES)
  statuses?: PairingStatus[];
}

export interface PairingList extends Page {
  pairings: Pairing[];
}

/** An approved node as operators see it. */
export interface NodeView {
  node_id: string;
  label?: string;
  pairing_id: number;
  trust_level?: TrustLevel;
  status: 'online' | 'offline';
  last_seen_at: string;
  /** What it offers now; while it is away, what it last offered. */
  capabilities: Capability[];
  capability_allowlist: Capability[];
}

export interface NodeList extends Page {
  nodes: NodeView[];
}

export interface PresenceList extends Page {
  entries: PresenceEntry[];
}
