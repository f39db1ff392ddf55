import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url } from './base64url';
import { connectProofText, type ConnectProofFacts } from './connect-proof';
import { httpProofText, type HttpProof, type HttpProofFacts } from './http-proof';

/** The proof: base64url of the Ed25519 signature over `connectProofText`. */
export function signConnectProof(privateKey: KeyObject, facts: ConnectProofFacts): string {
  return encodeBase64Url(sign(null, Buffer.from(connectProofText(facts), 'utf8'), privateKey));
}

/**
 * Whether `proof` was made with the private key of `pubkey` (base64url of the DER SPKI Ed25519 key) over these facts.
 * Anything malformed is simply no proof: false, never an exception.
 */
export function verifyConnectProof(pubkey: string, proof: string, facts: ConnectProofFacts): boolean {
  return verifySignature(pubkey, proof, connectProofText(facts));
}

/** The same for a request over HTTP. */
export function verifyHttpProof({ pubkey, signature }: HttpProof, facts: HttpProofFacts): boolean {
  return verifySignature(pubkey, signature, httpProofText(facts));
}

/** Whether base64url `signatureText` is the Ed25519 signature of `pubkey` (base64url SPKI) over the text's UTF-8. */
export function verifySignature(pubkey: string, signatureText: string, text: string): boolean {
  const signature = decodeBase64Url(signatureText);
  const key = ed25519PublicKey(pubkey);
  if (!key || !signature) return false;
  return verify(null, Buffer.from(text, 'utf8'), key, signature);
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
