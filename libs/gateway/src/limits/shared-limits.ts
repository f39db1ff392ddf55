import type { SharedCounters } from '@tyrum/backplane';
import type { Logger } from '@tyrum/platform';
import type { ConnectionCaps } from './connection-caps';
import { WINDOW_MS, type RequestWindows } from './request-windows';

/** How often edges tell each other what they have counted, in ms. */
const EXCHANGE_MS = 500;
/** Exchanges from one sign of life to the next: three of them are within the time an edge's places outlive it. */
const EXCHANGES_PER_KEEP = 4;

/** Lets the edges that share a Redis keep one limit together. Without it, or while it is away, each keeps it by itself. */
export class SharedLimits {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private exchanges = 0;

  constructor(
    private readonly windows: RequestWindows,
    private readonly caps: ConnectionCaps,
    private readonly counters: SharedCounters,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      this.running ??= this.beat().finally(() => (this.running = undefined));
    }, EXCHANGE_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
    await this.caps.close();
    await this.counters.close();
  }

  private async beat(): Promise<void> {
    // Until it is known that they count together, every beat tries.
    const isDue = this.exchanges % EXCHANGES_PER_KEEP === 0 || this.caps.counting === 'alone';
    this.exchanges += 1;
    await Promise.all([this.exchange(), isDue && this.caps.keep()]);
  }

  /** Tells and hears once. Never rejects. */
  private async exchange(): Promise<void> {
    const deltas = this.windows.tell();
    if (deltas.length === 0) return;
    try {
      const names = deltas.map(({ key, windowStartedAt, count }) => ({ name: `${windowStartedAt}:${key}`, count }));
      const totals = await this.counters.add(names, 2 * WINDOW_MS);
      deltas.forEach((delta, i) => this.windows.hear(delta, totals[i] ?? delta.count));
    } catch (error) {
      deltas.forEach((delta) => this.windows.untell(delta));
      this.logger.debug({ err: error }, 'request counts cannot be exchanged; this edge keeps the limits alone');
    }
  }
}
