import { ContractError } from '@tyrum/protocol';
import { decodeListCursor, decodeRowCursor, encodeListCursor, encodeRowCursor } from './list-cursor';

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

it('round-trips the place of what is named by a UUID, and refuses other names', () => {
  const id = '11111111-1111-4111-8111-111111111111';
  expect(decodeRowCursor(encodeRowCursor(1_700_000_000_123, id), 'query.cursor')).toEqual({
    at: 1_700_000_000_123,
    id,
  });
  expect(() => decodeRowCursor(encodeRowCursor(1, 'x'), 'query.cursor')).toThrow(/^query\.cursor: /);
});
