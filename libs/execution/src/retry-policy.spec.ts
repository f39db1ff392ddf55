import { DEFAULT_RETRY, retryDelayMs } from './retry-policy';

describe('retryDelayMs', () => {
  it('doubles between half and all of the ceiling', () => {
    const policy = { maxAttempts: 5, baseMs: 100, maxMs: 1_000 };
    const range = (attempt: number) => [() => 0, () => 1].map((random) => retryDelayMs(policy, attempt, 0, random));
    expect([1, 2, 3, 4, 5].map(range)).toEqual([
      [50, 100],
      [100, 200],
      [200, 400],
      [400, 800],
      [500, 1_000],
    ]);
  });

  it('waits at least what the receiver asked for, within the limit', () => {
    expect(retryDelayMs(DEFAULT_RETRY, 1, 5_000, () => 0)).toBe(5_000);
    expect(retryDelayMs(DEFAULT_RETRY, 1, 10_000_000, () => 0)).toBe(DEFAULT_RETRY.maxMs);
  });
});
