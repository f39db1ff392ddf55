import { deviceIdOfDigest, encodeBase64Url } from '@tyrum/protocol';

/** An Ed25519 key pair that names a device. */
export interface DeviceIdentity {
  /** `dev_…`, which follows from the public key. */
  readonly deviceId: string;
  /** base64url of the DER SPKI public key. */
  readonly pubkey: string;
  /** The raw 64-byte signature over the UTF-8 bytes of `text`. */
  sign(text: string): Promise<Uint8Array>;
}

/** A key of WebCrypto, whose name of its own the types of Node lack. */
type WebKey = Parameters<typeof crypto.subtle.exportKey>[1];

export interface WebKeyPair {
  readonly privateKey: WebKey;
  readonly publicKey: WebKey;
}

/**
 * A new key pair of WebCrypto, whose private half no script can read. A browser keeps it in IndexedDB, which stores keys as they
 * are, and hands it to `webDeviceIdentity` the next time.
 */
export async function createWebKeyPair(): Promise<WebKeyPair> {
  return (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as WebKeyPair;
}

/** The identity of a WebCrypto key pair, in browsers and in Node. */
export async function webDeviceIdentity({ privateKey, publicKey }: WebKeyPair): Promise<DeviceIdentity> {
  const der = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', der));
  return Object.freeze({
    deviceId: deviceIdOfDigest(digest),
    pubkey: encodeBase64Url(der),
    sign: async (text: string) =>
      new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, new TextEncoder().encode(text))),
  });
}
