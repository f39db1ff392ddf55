import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { decodeBase64Url, encodeBase64Url } from './base64url';
import { deviceIdOf } from './device-id';
import { DEFAULT_TENANT_ID, formatToken, isUuid, parseToken } from './ids';

describe('base64url', () => {
  it('agrees with Node and comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = encodeBase64Url(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64url'));
        expect(Buffer.from(decodeBase64Url(text)!)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('encodes more bytes than fit on the stack', () => {
    const bytes = new Uint8Array(1_000_000).fill(7);
    expect(encodeBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
  });

  it('accepts exactly the canonical spelling', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AZaz09-_+/= \n'), maxLength: 12 }), (text) => {
        const bytes = decodeBase64Url(text);
        if (bytes) expect(Buffer.from(bytes).toString('base64url')).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['A', 'AA==', 'AB', 'A+', 'A/', ' AA', 'AA\n', 'AAA=', 'é'])('refuses %j', (text) => {
    expect(decodeBase64Url(text)).toBeUndefined();
  });
});

describe('isUuid', () => {
  it('accepts ours', () => expect(isUuid(DEFAULT_TENANT_ID)).toBe(true));

  it.each([
    '',
    'A0000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-00000000000',
    `${DEFAULT_TENANT_ID}\n`,
    1,
    null,
  ])('refuses %j', (value) => expect(isUuid(value)).toBe(false));
});

describe('tokens', () => {
  const token = { id: DEFAULT_TENANT_ID, secret: 'abcdefghijklmnopqrstuvwxyz_-0123' };

  it('come back from their text', () => expect(parseToken(formatToken(token))).toEqual(token));

  it.each([
    `tyrum-token.v2.${token.id}.${token.secret}`,
    `tyrum-token.v1.${token.id}.short`,
    `tyrum-token.v1.${token.id}.${token.secret}.more`,
    `tyrum-token.v1.${'-'.repeat(36)}.${token.secret}`,
    `tyrum-token.v1.${token.id}.${token.secret}\n`,
    '',
  ])('refuses %j', (text) => expect(parseToken(text)).toBeUndefined());

  it('refuses to write one that could not be read', () => {
    expect(() => formatToken({ ...token, secret: 'has.a.dot.in.it.somewhere' })).toThrow(TypeError);
    expect(() => formatToken({ ...token, id: 'x' })).toThrow(TypeError);
  });
});

describe('deviceIdOf', () => {
  it('matches the RFC 4648 alphabet, worked out bit by bit', () => {
    const der = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
    const bits = [...createHash('sha256').update(der).digest()]
      .map((byte) => byte.toString(2).padStart(8, '0'))
      .join('');
    const expected = bits
      .match(/.{1,5}/g)!
      .map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(group.padEnd(5, '0'), 2)]);
    expect(deviceIdOf(der)).toBe(`dev_${expected.join('')}`);
  });

  it('is stable', () => {
    // sha256("") = e3b0c442…b855, in base32 by another implementation (Python's base64.b32encode).
    expect(deviceIdOf(new Uint8Array())).toBe('dev_4oymiquy7qobjgx36tejs35zeqt24qpemsnzgtfeswmrw6csxbkq');
  });
});
