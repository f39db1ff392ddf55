import type { PeerRole } from './access';

/** The revision of the protocol we speak. */
export const PROTOCOL_REV = 2;
/** The WebSocket subprotocol every client offers and the server selects. */
export const SUBPROTOCOL = 'tyrum-v1';
/** How the extra subprotocol that carries a token starts; `base64url(token)` follows. */
export const AUTH_SUBPROTOCOL_PREFIX = 'tyrum-auth.';

/** What a `connect.proof` signs. */
export interface ConnectProofFacts {
  readonly protocolRev: number;
  readonly role: PeerRole;
  readonly deviceId: string;
  readonly connectionId: string;
  readonly challenge: string;
}

/** The exact text that is signed: UTF-8 lines, each ended by `\n`, the last one too. */
export function connectProofText(facts: ConnectProofFacts): string {
  return [
    'tyrum-connect-proof',
    `protocol_rev=${facts.protocolRev}`,
    `role=${facts.role}`,
    `device_id=${facts.deviceId}`,
    `connection_id=${facts.connectionId}`,
    `challenge=${facts.challenge}`,
    '',
  ].join('\n');
}
