import { ContractError } from '@tyrum/protocol';
import { BY_DEVICE, BY_LEASE, BY_NUMBER, BY_TIME, BY_UPDATE, type PlaceCodec } from './list-cursor';

const ID = '11111111-1111-4111-8111-111111111111';
const textOf = (place: unknown): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** Each with a place of its list, and places that look like one and are none. */
const CODECS: [string, PlaceCodec<unknown>, unknown, unknown[]][] = [
  [
    'time',
    BY_TIME as never,
    { at: 1_700_000_000_123, id: ID },
    [
      [1, 'x'],
      [1, ID, 1],
      ['1', ID],
      [1.5, ID],
    ],
  ],
  [
    'update',
    BY_UPDATE as never,
    { updatedAt: 1_700_000_000_123, conversationKey: 'agent:default:ui:default:channel:ü' },
    [[1, 'x'], [1]],
  ],
  ['number', BY_NUMBER as never, 7, ['7', 0.5, [7]]],
  ['lease', BY_LEASE as never, { kind: 'shard', name: '0' }, [['shard'], ['shard', 0], ['shard', 'a\0']]],
  ['device', BY_DEVICE as never, 'dev_abcdef234567', ['dev_', 'dev_A', 'x', 7]],
];

describe.each(CODECS)('a place by %s', (_name, codec, place, others) => {
  it('round-trips', () => {
    expect(codec.decode(codec.encode(place), 'query.cursor')).toEqual(place);
  });

  it.each(['', 'x', textOf({}), textOf(null), ...others.map(textOf)])('is not %j, and the field is named', (cursor) => {
    expect(() => codec.decode(cursor, 'query.cursor')).toThrow(ContractError);
    expect(() => codec.decode(cursor, 'query.cursor')).toThrow(/^query\.cursor: /);
  });
});
