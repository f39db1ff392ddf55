import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Bytes of randomness in a token's secret. */
const SECRET_BYTES = 32;

/** A new secret: 32 random bytes as base64url. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/**
 * What is stored of a secret: SHA-256, hex. A slow hash protects guessable passwords; against 256 random bits there is
 * nothing to guess, and scrypt would cost every request 35 ms.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

/** Whether `secret` has that hash. Takes the same time wherever they differ. */
export function matchesHash(secret: string, hash: string): boolean {
  const expected = Buffer.from(hash, 'utf8');
  const given = Buffer.from(hashSecret(secret), 'utf8');
  // timingSafeEqual throws on unequal lengths, which a damaged row can have.
  return expected.length === given.length && timingSafeEqual(expected, given);
}
