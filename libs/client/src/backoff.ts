/** How long to wait between attempts to connect. */
export interface BackoffOptions {
  /** The window of the first attempt, in ms. */
  readonly baseMs: number;
  /** No window is wider, in ms. */
  readonly maxMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = Object.freeze({ baseMs: 250, maxMs: 15_000 });

/**
 * Exponential back-off with full jitter: a delay anywhere within a window that doubles with every failed attempt. Full
 * rather than half jitter, because a fleet cut off at one instant has to come back spread over the whole window.
 */
export class Backoff {
  private failures = 0;

  /** @param random in [0, 1) */
  constructor(
    private readonly options: BackoffOptions = DEFAULT_BACKOFF,
    private readonly random: () => number = Math.random,
  ) {}

  /** The next delay in ms. */
  next(): number {
    // Beyond 2^30 the window is at its maximum in any case; without the bound the power would become Infinity in the end.
    const window = Math.min(this.options.maxMs, this.options.baseMs * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    return Math.floor(this.random() * window);
  }

  /** After a connection that lasted, the next window is the first one again. */
  reset(): void {
    this.failures = 0;
  }
}
