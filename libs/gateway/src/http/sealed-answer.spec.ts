import { openAnswer, sealAnswer } from './sealed-answer';

const seal = { token: 'tyrum-token.v1.a.secret', context: 'POST /v1/tokens k' };

it('opens under the same token and context only, and never twice the same on the outside', () => {
  const sealed = sealAnswer(seal, { token: 'canary' });
  expect(openAnswer(seal, sealed)).toEqual({ token: 'canary' });
  expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('canary');
  expect(sealAnswer(seal, { token: 'canary' })).not.toBe(sealed);
  expect(openAnswer({ ...seal, token: 'other' }, sealed)).toBeUndefined();
  expect(openAnswer({ ...seal, context: 'other' }, sealed)).toBeUndefined();
});

it('does not open what was changed or is none', () => {
  const bytes = Buffer.from(sealAnswer(seal, { a: 1 }), 'base64url');
  bytes.writeUInt8(bytes.readUInt8(30) ^ 1, 30);
  expect(openAnswer(seal, bytes.toString('base64url'))).toBeUndefined();
  expect(openAnswer(seal, 'x')).toBeUndefined();
});
