const MAX_FAILURES = 30;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

interface Window {
  readonly endsAt: number;
  failures: number;
}

/**
 * Counts failed log-ins an address. It only turns further failures into 429s and never keeps a valid token out: behind a
 * proxy many peers share one address, and secrets of 256 bits are not guessed, so all there is to gain is quiet.
 */
export class FailedAttempts {
  private readonly windows = new Map<string, Window>();

  constructor(private readonly nowMs: () => number) {}

  /** Notes a failure. True when there have been too many within a minute. */
  record(address: string): boolean {
    const now = this.nowMs();
    let window = this.windows.get(address);
    if (!window || window.endsAt <= now) {
      window = { endsAt: now + WINDOW_MS, failures: 0 };
      this.windows.delete(address);
      this.windows.set(address, window);
      const [oldest] = this.windows.keys();
      if (this.windows.size > MAX_ADDRESSES && oldest !== undefined) this.windows.delete(oldest);
    }
    window.failures += 1;
    return window.failures > MAX_FAILURES;
  }
}
