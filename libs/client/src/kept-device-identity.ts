import { deviceIdOf, encodeBase64Url } from '@tyrum/protocol';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DeviceIdentity } from './device-identity';

/** A new identity that lives as long as this object. Node only. */
export function createDeviceIdentity(): Promise<DeviceIdentity> {
  return Promise.resolve(identityOf(generateKeyPairSync('ed25519').privateKey));
}

/**
 * The identity kept in the file at `path` (PEM, PKCS #8, mode 0600), made on first use. Node only.
 * Processes that start together agree on one key: it is linked into place, and a link does not replace what is there.
 * @throws {TypeError} if the file holds no Ed25519 key
 */
export async function openDeviceIdentity(path: string): Promise<DeviceIdentity> {
  let pem = await readIfThere(path);
  if (pem === undefined) {
    const fresh = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    pem = await placeOnce(path, fresh);
  }
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`${path} holds no Ed25519 private key`);
  return identityOf(key);
}

function identityOf(privateKey: KeyObject): DeviceIdentity {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return Object.freeze({
    deviceId: deviceIdOf(der),
    pubkey: encodeBase64Url(der),
    sign: (text: string) => Promise.resolve(sign(null, Buffer.from(text, 'utf8'), privateKey)),
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Puts `content` at `path` unless somebody was faster. Returns what is there now. */
async function placeOnce(path: string, content: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
    return content;
  } catch (error) {
    const winner = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readIfThere(path) : undefined;
    if (winner === undefined) throw error;
    return winner;
  } finally {
    await rm(draft, { force: true });
  }
}
