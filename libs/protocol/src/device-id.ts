import { createHash } from 'node:crypto';
import { deviceIdOfDigest } from './device-digest';

/** The id of the device whose key that is: `dev_…`. */
export function deviceIdOf(publicKeyDer: Uint8Array): string {
  return deviceIdOfDigest(createHash('sha256').update(publicKeyDer).digest());
}
