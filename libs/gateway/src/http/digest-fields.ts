import { ContractError, LIMITS } from '@tyrum/protocol';
import type { Request } from 'express';

/** One member of the dictionary: an algorithm, and bytes as RFC 8941 writes them. Parameters mean nothing here. */
const MEMBER = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):(?:;.*)?$/;

/**
 * The SHA-256 that the sender says its body has, as lower-case hex. Of a body that is not encoded, `Content-Digest` and
 * `Repr-Digest` (RFC 9530) say the same. Algorithms we do not know are passed over, as the RFC wants it.
 * @throws {ContractError} for a field that cannot be read: a digest that is passed over would protect nobody
 */
export function declaredSha256(request: Pick<Request, 'get'>): string | undefined {
  let declared: string | undefined;
  for (const field of ['Content-Digest', 'Repr-Digest']) {
    const sha256 = sha256In(field, request.get(field));
    if (sha256 !== undefined && declared !== undefined && sha256 !== declared) {
      throw ContractError.at(field, 'digest', 'says something else than Content-Digest');
    }
    declared = sha256 ?? declared;
  }
  return declared;
}

function sha256In(field: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value.length > LIMITS.digestHeaderLength) {
    throw ContractError.at(field, 'maxLength', `must not be longer than ${LIMITS.digestHeaderLength} characters`);
  }
  let found: string | undefined;
  for (const member of value.split(',')) {
    const [, algorithm, base64 = ''] = MEMBER.exec(member.trim()) ?? [];
    if (algorithm === undefined) throw ContractError.at(field, 'digest', 'must be like sha-256=:<base64>:');
    if (algorithm !== 'sha-256') continue;
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.length !== 32) throw ContractError.at(field, 'digest', 'must hold the 32 bytes of a SHA-256');
    found = bytes.toString('hex');
  }
  return found;
}

/** The field's value for a SHA-256 in hex. */
export function digestField(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}
