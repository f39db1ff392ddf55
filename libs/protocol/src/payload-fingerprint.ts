import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json';

/** SHA-256, lower-case hex, of the value's canonical JSON: equal for equal payloads however their fields are ordered. */
export function payloadFingerprint(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}

/** A UUID (version 8) made from a value: the same for equal values. For ids that a second try must find again. */
export function fingerprintUuid(value: unknown): string {
  const hex = payloadFingerprint(value);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
