import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json';

/** SHA-256, lower-case hex, of the value's canonical JSON: equal for equal payloads however their fields are ordered. */
export function payloadFingerprint(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}
