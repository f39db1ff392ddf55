import { PEER_ROLES, type PeerRole } from '../access';
import { LIMITS } from '../limits';
import type { Capability } from '../pairing';
import { Nested, NestedList, OneOf, Optional, Text, WholeNumber } from '../payload-fields';
import { PRESENCE_MODES, type PresenceMode } from '../presence';

/** One capability and its version. */
export class CapabilityPayload implements Capability {
  @Text(LIMITS.idLength)
  id: string;

  @Text(LIMITS.labelLength)
  version: string;
}

/** The device that connects. */
export class DevicePayload {
  /** What the peer believes its id is; another one than `deviceIdOf(pubkey)` closes with 4006. */
  @Text(LIMITS.idLength)
  device_id: string;

  /** base64url of the DER SPKI Ed25519 key. */
  @Text(LIMITS.pubkeyLength)
  pubkey: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  label?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  platform?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  version?: string;

  @Optional()
  @OneOf(PRESENCE_MODES)
  mode?: PresenceMode;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  device_type?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  device_platform?: string;

  @Optional()
  @Text(LIMITS.labelLength, 0)
  device_model?: string;
}

/** An addition of ours: continue after this cursor. */
export class ResumePayload {
  @Text(LIMITS.cursorLength)
  cursor: string;
}

export class ConnectInitPayload {
  /** Any whole number passes here, because another one than ours is answered with close code 4005. */
  @WholeNumber()
  protocol_rev: number;

  @OneOf(PEER_ROLES)
  role: PeerRole;

  @Nested(() => DevicePayload)
  device: DevicePayload;

  @NestedList(() => CapabilityPayload, { max: LIMITS.capabilities })
  capabilities: CapabilityPayload[] = [];

  @Nested(() => ResumePayload, { optional: true })
  resume?: ResumePayload;
}

export interface ConnectInitResult {
  connection_id: string;
  /** base64url of `LIMITS.challengeBytes` random bytes; good for one proof. */
  challenge: string;
}

export class ConnectProofPayload {
  @Text(LIMITS.idLength)
  connection_id: string;

  /** base64url of the Ed25519 signature over `connectProofText`. */
  @Text(LIMITS.proofLength)
  proof: string;
}

export interface ConnectProofResult {
  /** Equals the connection id. */
  client_id: string;
  device_id: string;
  role: PeerRole;
  /** The three below only when `resume` was sent. */
  cursor?: string;
  epoch?: string;
  edge_id?: string;
}

export class PingPayload {}
