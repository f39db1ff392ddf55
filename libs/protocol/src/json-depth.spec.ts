import fc from 'fast-check';
import { isDeeperThan } from './json-depth';

/** The obvious, recursive definition, to compare with. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('isDeeperThan', () => {
  it('agrees with the recursive definition on any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat({ max: 8 }), fc.boolean(), (value, max, pretty) => {
        const text = JSON.stringify(value, undefined, pretty ? 2 : undefined);
        expect(isDeeperThan(text, max)).toBe(depthOf(JSON.parse(text)) > max);
      }),
      { numRuns: 500 },
    );
  });

  it('does not count what is inside strings', () => {
    const nasty = fc.string({ unit: fc.constantFrom('[', '{', '"', '\\', ']', '}', 'u', 'n') });
    fc.assert(
      fc.property(nasty, nasty, (key, value) => expect(isDeeperThan(JSON.stringify({ [key]: value }), 1)).toBe(false)),
    );
  });

  it('survives what kills a recursive walk', () => {
    expect(isDeeperThan('['.repeat(1_000_000), 64)).toBe(true);
    expect(isDeeperThan('['.repeat(500_000) + ']'.repeat(500_000), 500_000)).toBe(false);
    expect(isDeeperThan('{"a":'.repeat(65), 64)).toBe(true);
  });

  it('terminates on unfinished strings', () => {
    expect(isDeeperThan('["abc', 64)).toBe(false);
    expect(isDeeperThan('["abc\\', 64)).toBe(false);
  });
});
