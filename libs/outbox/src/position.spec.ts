import fc from 'fast-check';
import { decodePosition, encodePosition } from './position';

const EPOCH = '0123456789abcdef0123456789abcdef';
const encode = (text: string) => Buffer.from(text).toString('base64url');

describe('a position as text', () => {
  it('comes back as it was', () => {
    const epoch = fc.stringMatching(/^[0-9a-f]{32}$/);
    const xid = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    const id = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String);
    fc.assert(
      fc.property(fc.record({ epoch, xid, id }), (position) => {
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
    ['a fourth part', encode(`${EPOCH}.1.1.1`)],
    ['an upper-case epoch', encode(`${EPOCH.toUpperCase()}.1.1`)],
    ['padding', `${encode(`${EPOCH}.1.11`)}=`],
    ['a line break', `${encode(`${EPOCH}.1.1`)}\n`],
    ['another text for the same bytes', encode(`${EPOCH}.1.11`).replace(/Q$/, 'R')],
    ['ten megabytes', 'A'.repeat(10_000_000)],
  ])('refuses %s', (_what, cursor) => {
    expect(decodePosition(cursor)).toBeUndefined();
  });
});
