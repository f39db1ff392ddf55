import type { SharedCounters } from '@tyrum/backplane';
import type { Logger } from '@tyrum/platform';
import { WINDOW_MS, type RequestWindows } from './request-windows';

/** How often edges tell each other what they have counted, in ms. */
const EXCHANGE_MS = 500;

/** Lets the edges that share a Redis keep one limit together. Without it, or while it is away, each keeps it by itself. */
export class SharedWindows {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly windows: RequestWindows,
    private readonly counters: SharedCounters,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      this.running ??= this.exchange().finally(() => (this.running = undefined));
    }, EXCHANGE_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
    await this.counters.close();
  }

  /** Tells and hears once. Never rejects. */
  async exchange(): Promise<void> {
    const deltas = this.windows.tell();
    if (deltas.length === 0) return;
    try {
      const names = deltas.map(({ key, windowStartedAt, count }) => ({ name: `${windowStartedAt}:${key}`, count }));
      const totals = await this.counters.add(names, 2 * WINDOW_MS);
      deltas.forEach((delta, i) => this.windows.hear(delta, totals[i] ?? delta.count));
    } catch (error) {
      this.logger.debug({ err: error }, 'request counts cannot be exchanged; this edge keeps the limits alone');
    }
  }
}
