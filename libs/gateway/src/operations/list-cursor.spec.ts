import { ContractError } from '@tyrum/protocol';
import { decodeListCursor, encodeListCursor } from './list-cursor';

it('round-trips', () => {
  const place = { updatedAt: 1_700_000_000_123, conversationKey: 'agent:default:ui:default:channel:ü' };
  expect(decodeListCursor(encodeListCursor(place))).toEqual(place);
});

it.each([
  '',
  'x',
  Buffer.from('[1]').toString('base64url'),
  Buffer.from('{}').toString('base64url'),
  Buffer.from('null').toString('base64url'),
])('refuses %j and names the field', (cursor) => {
  expect(() => decodeListCursor(cursor)).toThrow(ContractError);
  expect(() => decodeListCursor(cursor)).toThrow(/^payload\.cursor: /);
});
