import fc from 'fast-check';
import { betweenRows, comesAfter, decodePosition, encodePosition } from './position';

const EPOCH = '0123456789abcdef0123456789abcdef';
const encode = (text: string) => Buffer.from(text).toString('base64url');

describe('a position as text', () => {
  it('comes back as it was', () => {
    const epoch = fc.stringMatching(/^[0-9a-f]{32}$/);
    const xid = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    const id = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String);
    const taken = fc.integer({ min: 1, max: 9_999 });
    const position = fc.record({ epoch, xid, id, taken }, { requiredKeys: ['epoch', 'xid', 'id'] });
    fc.assert(
      fc.property(position, (position) => {
        expect(decodePosition(encodePosition(position))).toEqual(position);
      }),
    );
  });

  it('is refused when it is anything else', () => {
    expect(decodePosition(encode(`${EPOCH}.1.11`))).toBeDefined();
    fc.assert(fc.property(fc.string(), (text) => decodePosition(text) === undefined));
    fc.assert(fc.property(fc.base64String(), (text) => decodePosition(text) === undefined));
  });

  it.each([
    ['nothing', ''],
    ['a number the database cannot hold', encode(`${EPOCH}.${2n ** 64n}.1`)],
    ['an id the database cannot hold', encode(`${EPOCH}.1.${2n ** 63n}`)],
    ['leading zeros', encode(`${EPOCH}.01.1`)],
    ['a sign', encode(`${EPOCH}.-1.1`)],
    ['no events of a row', encode(`${EPOCH}.1.1.0`)],
    ['more events than a row can hold', encode(`${EPOCH}.1.1.10000`)],
    ['a fifth part', encode(`${EPOCH}.1.1.1.1`)],
    ['an upper-case epoch', encode(`${EPOCH.toUpperCase()}.1.1`)],
    ['padding', `${encode(`${EPOCH}.1.11`)}=`],
    ['a line break', `${encode(`${EPOCH}.1.1`)}\n`],
    ['another text for the same bytes', encode(`${EPOCH}.1.11`).replace(/Q$/, 'R')],
    ['ten megabytes', 'A'.repeat(10_000_000)],
  ])('refuses %s', (_what, cursor) => {
    expect(decodePosition(cursor)).toBeUndefined();
  });
});

describe('a position', () => {
  const at = (xid: string, id: string, taken?: number) => ({ epoch: EPOCH, xid, id, taken });

  it('is ordered by transaction, row and event', () => {
    const inOrder = [at('9', '80'), at('10', '7'), at('10', '8', 1), at('10', '8', 2), at('10', '8'), at('10', '9')];
    for (const [i, a] of inOrder.entries()) {
      for (const [j, b] of inOrder.entries()) expect(comesAfter(a, b)).toBe(i > j);
    }
  });

  it('inside a row lies behind the place before that row', () => {
    expect(betweenRows(at('10', '8', 3))).toEqual(at('10', '7'));
    expect(betweenRows(at('10', '8'))).toEqual(at('10', '8'));
  });
});
