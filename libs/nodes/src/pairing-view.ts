import type { Capability, Pairing, PairingStatus, Review, TrustLevel } from '@tyrum/protocol';

/** A pairing as it lies in the database; JSON as text, times in ms. */
export interface PairingRow {
  readonly pairing_id: number;
  readonly tenant_id: string;
  readonly node_id: string;
  readonly status: PairingStatus;
  readonly motivation: string;
  readonly trust_level: TrustLevel | null;
  readonly label: string | null;
  readonly capabilities: string;
  readonly allowlist: string;
  readonly latest_review: string | null;
  readonly token_id: string | null;
  readonly token_used_at: number | null;
  readonly requested_at: number;
  readonly last_seen_at: number;
  readonly updated_at: number;
}

/** A pairing in its wire shape. */
export function toPairing(row: PairingRow): Pairing {
  return {
    pairing_id: row.pairing_id,
    status: row.status,
    motivation: row.motivation,
    ...(row.trust_level === null ? {} : { trust_level: row.trust_level }),
    requested_at: new Date(row.requested_at).toISOString(),
    node: {
      node_id: row.node_id,
      ...(row.label === null ? {} : { label: row.label }),
      capabilities: JSON.parse(row.capabilities) as Capability[],
      last_seen_at: new Date(row.last_seen_at).toISOString(),
    },
    capability_allowlist: JSON.parse(row.allowlist) as Capability[],
    latest_review: row.latest_review === null ? null : (JSON.parse(row.latest_review) as Review),
  };
}
