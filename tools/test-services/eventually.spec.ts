import { eventually } from './eventually';

describe('eventually', () => {
  it('returns the first value that comes without an error', async () => {
    let calls = 0;
    const value = await eventually(
      () => {
        calls += 1;
        if (calls < 3) throw new Error('not yet');
        return calls;
      },
      { intervalMs: 1 },
    );
    expect(value).toBe(3);
  });

  it('throws the last error at the deadline', async () => {
    let calls = 0;
    const waiting = eventually(() => Promise.reject(new Error(`call ${(calls += 1)}`)), {
      timeoutMs: 20,
      intervalMs: 1,
    });
    await expect(waiting).rejects.toThrow(/^call \d+$/);
    expect(calls).toBeGreaterThan(1);
  });

  it('stops early when told that it is in vain', async () => {
    const waiting = eventually(() => Promise.reject(new Error('no')), { timeoutMs: 60_000, giveUp: () => true });
    await expect(waiting).rejects.toThrow('no');
  });
});
