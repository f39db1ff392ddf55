import fc from 'fast-check';
import { Backoff } from './backoff';

describe('Backoff', () => {
  it('doubles its window up to the maximum', () => {
    const backoff = new Backoff({ baseMs: 100, maxMs: 1_000 }, () => 0.999_999);
    expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([99, 199, 399, 799, 999, 999]);
  });

  it('begins anew after a reset', () => {
    const backoff = new Backoff({ baseMs: 100, maxMs: 1_000 }, () => 0.5);
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });

  it('stays within the window after any number of failures', () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
        const backoff = new Backoff({ baseMs: 250, maxMs: 15_000 }, () => random);
        for (let i = 0; i < failures; i += 1) backoff.next();
        const delay = backoff.next();
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThan(15_000);
      }),
      { numRuns: 50 },
    );
  });
});
