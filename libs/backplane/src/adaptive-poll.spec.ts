import { AdaptivePoll, type PollResult } from './adaptive-poll';

const IDLE: PollResult = { more: false };

/** A backplane whose health the test sets. */
class Health {
  healthy = true;
  private reconnected: (() => void) | undefined;
  onReconnect(handler: () => void): () => void {
    this.reconnected = handler;
    return () => (this.reconnected = undefined);
  }
  reconnect(): void {
    this.reconnected?.();
  }
}

describe('AdaptivePoll', () => {
  let health: Health;
  let errors: unknown[];
  let poll: AdaptivePoll;

  beforeEach(() => {
    jest.useFakeTimers();
    health = new Health();
    errors = [];
  });

  afterEach(async () => {
    await poll.stop();
    jest.useRealTimers();
  });

  function run(step: () => Promise<PollResult>): void {
    poll = new AdaptivePoll(step, {
      backplane: health,
      onError: (error) => errors.push(error),
      maxMs: 3_000,
      unhealthyMaxMs: 500,
    });
    poll.start();
  }

  /** When steps began, in milliseconds from now on. */
  function recordSteps(result: (n: number) => PollResult | Promise<PollResult>): number[] {
    const startedAt = performance.now();
    const at: number[] = [];
    run(() => {
      at.push(Math.round(performance.now() - startedAt));
      return Promise.resolve(result(at.length));
    });
    return at;
  }

  it('pauses longer and longer while nothing happens', async () => {
    const at = recordSteps(() => IDLE);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(at).toEqual([0, 50, 150, 350, 750, 1_550, 3_150, 6_150, 9_150]);
  });

  it('is less patient while wake-ups cannot be relied on', async () => {
    health.healthy = false;
    const at = recordSteps(() => IDLE);
    await jest.advanceTimersByTimeAsync(2_000);
    expect(at).toEqual([0, 50, 150, 350, 750, 1_250, 1_750]);
  });

  it('goes on at once while there is more, and starts over with short pauses', async () => {
    const at = recordSteps((n) => ({ more: n >= 4 && n <= 6 }));
    await jest.advanceTimersByTimeAsync(500);
    expect(at).toEqual([0, 50, 150, 350, 350, 350, 350, 400, 500]);
  });

  it('steps when something falls due', async () => {
    const at = recordSteps((n) => (n === 7 ? { more: false, nextDueInMs: 7 } : IDLE));
    await jest.advanceTimersByTimeAsync(3_160);
    expect(at).toEqual([0, 50, 150, 350, 750, 1_550, 3_150, 3_157]);
  });

  it('steps at once when woken or reconnected', async () => {
    const at = recordSteps(() => IDLE);
    await jest.advanceTimersByTimeAsync(1_000);
    poll.wake();
    await jest.advanceTimersByTimeAsync(10);
    health.reconnect();
    await jest.advanceTimersByTimeAsync(10);
    expect(at).toEqual([0, 50, 150, 350, 750, 1_000, 1_010]);
  });

  it('rests when a step asks for it, however often it is woken, and then follows the wake-ups', async () => {
    const at = recordSteps((n) => ({ more: false, nextDueInMs: 40, ...(n <= 2 ? { restMs: 5 } : {}) }));
    for (let ms = 0; ms < 4; ms += 1) {
      poll.wake();
      await jest.advanceTimersByTimeAsync(1);
    }
    expect(at).toEqual([0]);
    await jest.advanceTimersByTimeAsync(1);
    expect(at).toEqual([0, 5]);
    await jest.advanceTimersByTimeAsync(20);
    expect(at).toEqual([0, 5]);
    poll.wake();
    await jest.advanceTimersByTimeAsync(0);
    expect(at).toEqual([0, 5, 25]);
  });

  it('can be stopped while it rests', async () => {
    const at = recordSteps(() => ({ more: false, restMs: 1_000_000 }));
    await jest.advanceTimersByTimeAsync(10);
    await poll.stop();
    expect(at).toEqual([0]);
  });

  it('lets exactly one step follow the one that was woken in, and never overlaps', async () => {
    let begun = 0;
    let finish: () => void = () => {};
    run(() => {
      begun += 1;
      return new Promise((resolve) => (finish = () => resolve(IDLE)));
    });
    await jest.advanceTimersByTimeAsync(100);
    for (let i = 0; i < 5; i += 1) poll.wake();
    await jest.advanceTimersByTimeAsync(100);
    expect(begun).toBe(1);
    finish();
    await jest.advanceTimersByTimeAsync(0);
    expect(begun).toBe(2);
    finish();
    await jest.advanceTimersByTimeAsync(49);
    expect(begun).toBe(2);
    finish();
  });

  it('tries a failed step again with backoff, which wake-ups do not shorten', async () => {
    let broken = true;
    const at = recordSteps(() => {
      if (broken) throw new Error('down');
      return IDLE;
    });
    for (let ms = 0; ms < 2_000; ms += 10) {
      poll.wake();
      await jest.advanceTimersByTimeAsync(10);
    }
    // 100, 200, 400, 800, … each by a factor between a half and one.
    expect(at.length).toBeGreaterThanOrEqual(4);
    expect(at.length).toBeLessThanOrEqual(7);
    expect(errors).toHaveLength(at.length);
    broken = false;
    await jest.advanceTimersByTimeAsync(3_000);
    const before = at.length;
    poll.wake();
    await jest.advanceTimersByTimeAsync(0);
    expect(at).toHaveLength(before + 1);
  });

  it('stops after the step under way', async () => {
    let begun = 0;
    let finish: () => void = () => {};
    run(() => {
      begun += 1;
      return new Promise((resolve) => (finish = () => resolve({ more: true })));
    });
    let stopped = false;
    const stopping = poll.stop().then(() => (stopped = true));
    await jest.advanceTimersByTimeAsync(100);
    expect(stopped).toBe(false);
    finish();
    await stopping;
    expect(begun).toBe(1);
  });
});
