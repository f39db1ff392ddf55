import type { Review } from './approval';

export const PAIRING_STATUSES = ['queued', 'reviewing', 'awaiting_human', 'approved', 'denied', 'revoked'] as const;
export type PairingStatus = (typeof PAIRING_STATUSES)[number];

export const TRUST_LEVELS = ['local', 'remote'] as const;
export type TrustLevel = (typeof TRUST_LEVELS)[number];

/** Something a node can do: `tyrum.<family>.<action>` and its version. */
export interface Capability {
  id: string;
  version: string;
}

/** A node's request to be trusted, and what came of it. */
export interface Pairing {
  pairing_id: number;
  status: PairingStatus;
  motivation: string;
  trust_level?: TrustLevel;
  requested_at: string;
  node: { node_id: string; label?: string; capabilities: Capability[]; last_seen_at: string };
  capability_allowlist: Capability[];
  latest_review: Review | null;
}

/** Whether `id` is spelled as a capability of ours: `tyrum.desktop.screenshot`. */
export function isCapabilityId(id: string): boolean {
  return /^tyrum(\.[a-z0-9][a-z0-9_-]*){2,}$/.test(id);
}
