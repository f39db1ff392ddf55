import { AdaptivePoll, type Backplane } from '@tyrum/backplane';
import type { Position, StoredEvent } from './outbox-event';
import type { OutboxReader } from './outbox';

export interface OutboxTailOptions {
  /** Takes events in order; the next batch waits for it. */
  readonly onEvents: (events: readonly StoredEvent[]) => void | Promise<void>;
  readonly onError: (error: unknown) => void;
  /** Where to begin; without it, at the head. */
  readonly from?: Position;
  readonly batch?: number;
}

const DEFAULT_BATCH = 1_000;

/** Follows the outbox: hands every event from its beginning on to one consumer, in order, at least once. */
export class OutboxTail {
  private readonly poll: AdaptivePoll;
  private unsubscribe: (() => void) | undefined;
  private position: Position | undefined;

  constructor(
    private readonly reader: OutboxReader,
    private readonly backplane: Backplane,
    private readonly options: OutboxTailOptions,
  ) {
    this.position = options.from;
    this.poll = new AdaptivePoll(() => this.step(), { backplane, onError: options.onError });
  }

  /** Fixes the beginning, then follows. Resolves once no later commit can be missed. */
  async start(): Promise<void> {
    this.position ??= await this.reader.head();
    this.unsubscribe = this.backplane.subscribe('outbox', () => this.poll.wake());
    this.poll.start();
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.poll.stop();
  }

  private async step(): Promise<{ more: boolean; nextDueInMs?: number }> {
    if (!this.position) throw new Error('a tail has a position once it started');
    const limit = this.options.batch ?? DEFAULT_BATCH;
    const page = await this.reader.readAfter(this.position, limit);
    if (page.events.length > 0) await this.options.onEvents(page.events);
    this.position = page.position;
    // Something came, so its companions may still be behind an open transaction: look again soon.
    return page.events.length > 0 ? { more: page.events.length === limit, nextDueInMs: SOON_MS } : { more: false };
  }
}

const SOON_MS = 10;
