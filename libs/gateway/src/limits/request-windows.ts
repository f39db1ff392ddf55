/** How long one window is, in ms. Windows begin at multiples of it on the clock, so that all edges count in the same ones. */
export const WINDOW_MS = 10_000;
/** Who is counted at the most; beyond it, who came first is forgotten first. */
const MAX_COUNTED = 50_000;

interface Window {
  readonly startedAt: number;
  /** Here. */
  local: number;
  /** Of `local`, what the other edges have not been told of. */
  untold: number;
  /** At the other edges, as last heard. */
  elsewhere: number;
}

/** What one edge tells the others: so many more in this window. */
export interface Delta {
  readonly key: string;
  readonly windowStartedAt: number;
  readonly count: number;
}

/**
 * Counts requests in fixed windows. Decides at once from what is known here, and is told now and then what the other edges
 * counted: a limit is kept to within what an edge takes between two exchanges, and no request waits for a network.
 */
export class RequestWindows {
  private readonly windows = new Map<string, Window>();

  constructor(private readonly nowMs: () => number) {}

  /** Counts a request. Returns how long to wait, in ms, when there are `limit` in this window already; 0 = go on. */
  take(key: string, limit: number): number {
    const now = this.nowMs();
    const window = this.current(key, now);
    if (window.local + window.elsewhere >= limit) return Math.max(1, window.startedAt + WINDOW_MS - now);
    window.local += 1;
    window.untold += 1;
    return 0;
  }

  /** What the others have not been told of; counts as told. */
  tell(): Delta[] {
    const current = windowStart(this.nowMs());
    const deltas: Delta[] = [];
    for (const [key, window] of this.windows) {
      if (window.untold === 0 || window.startedAt !== current) continue;
      deltas.push({ key, windowStartedAt: current, count: window.untold });
      window.untold = 0;
    }
    return deltas;
  }

  /** @param total what all edges together have told of in that window, this included */
  hear({ key, windowStartedAt, count }: Delta, total: number): void {
    const window = this.windows.get(key);
    if (window?.startedAt !== windowStartedAt) return;
    const told = window.local - window.untold;
    window.elsewhere = Math.max(0, total - told);
    // Less than we told ourselves: it was lost there, all but this, and is told again.
    if (total < told) window.untold += told - count;
  }

  /** What `tell` gave did not get there. */
  untell({ key, windowStartedAt, count }: Delta): void {
    const window = this.windows.get(key);
    if (window?.startedAt === windowStartedAt) window.untold += count;
  }

  private current(key: string, now: number): Window {
    const startedAt = windowStart(now);
    const known = this.windows.get(key);
    if (known?.startedAt === startedAt) return known;
    const fresh = { startedAt, local: 0, untold: 0, elsewhere: 0 };
    this.windows.delete(key);
    this.windows.set(key, fresh);
    const [oldest] = this.windows.keys();
    if (this.windows.size > MAX_COUNTED && oldest !== undefined) this.windows.delete(oldest);
    return fresh;
  }
}

function windowStart(now: number): number {
  return Math.floor(now / WINDOW_MS) * WINDOW_MS;
}
