import { hashSecret, matchesHash, newSecret } from './token-secret';

it('makes secrets of 32 bytes that never repeat', () => {
  const secrets = Array.from({ length: 100 }, newSecret);
  expect(new Set(secrets).size).toBe(100);
  for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
});

it('matches the secret that was hashed and no other', () => {
  const secret = newSecret();
  expect(matchesHash(secret, hashSecret(secret))).toBe(true);
  expect(matchesHash(`${secret}x`, hashSecret(secret))).toBe(false);
  expect(matchesHash('', hashSecret(secret))).toBe(false);
});

it('survives a damaged hash', () => {
  expect(matchesHash('secret', '')).toBe(false);
  expect(matchesHash('secret', hashSecret('secret').slice(1))).toBe(false);
  expect(matchesHash('secret', 'ü'.repeat(64))).toBe(false);
});
