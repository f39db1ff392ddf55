import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { PeerRole } from './access';
import { decodeBase64Url, encodeBase64Url } from './base64url';

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

/** The proof: base64url of the Ed25519 signature over `connectProofText`. */
export function signConnectProof(privateKey: KeyObject, facts: ConnectProofFacts): string {
  return encodeBase64Url(sign(null, Buffer.from(connectProofText(facts), 'utf8'), privateKey));
}

/**
 * Whether `proof` was made with the private key of `pubkey` (base64url of the DER SPKI Ed25519 key) over these facts.
 * Anything malformed is simply no proof: false, never an exception.
 */
export function verifyConnectProof(pubkey: string, proof: string, facts: ConnectProofFacts): boolean {
  const signature = decodeBase64Url(proof);
  const key = ed25519PublicKey(pubkey);
  if (!key || !signature) return false;
  return verify(null, Buffer.from(connectProofText(facts), 'utf8'), key, signature);
}

/**
 * The DER bytes of a base64url Ed25519 SPKI key, or `undefined` if it is none. Its exact bytes name the device, so another
 * encoding of the same key is refused instead of becoming a second device.
 */
export function decodePublicKey(pubkey: string): Uint8Array | undefined {
  const key = ed25519PublicKey(pubkey);
  return key?.export({ type: 'spki', format: 'der' });
}

function ed25519PublicKey(pubkey: string): KeyObject | undefined {
  const der = decodeBase64Url(pubkey);
  if (!der) return undefined;
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
    const isCanonical = key.asymmetricKeyType === 'ed25519' && key.export({ type: 'spki', format: 'der' }).equals(der);
    return isCanonical ? key : undefined;
  } catch {
    return undefined;
  }
}
