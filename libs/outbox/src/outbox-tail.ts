import { AdaptivePoll, type Backplane, type PollResult } from '@tyrum/backplane';
import type { Position, StoredEvent } from './outbox-event';
import type { OutboxReader } from './outbox-reader';

export interface OutboxTailOptions {
  /** Takes events in order; the next batch waits for it. When it throws, the same batch comes again. */
  readonly onEvents: (events: readonly StoredEvent[]) => void | Promise<void>;
  /** Events before the next batch are gone: retention or a restore has overtaken this reader, which goes on at `position`. */
  readonly onGap?: (position: Position) => void | Promise<void>;
  /** The place after everything handed over so far. Called after each batch that was taken. */
  readonly onPassed?: (position: Position) => void;
  readonly onError: (error: unknown) => void;
  /** Where to begin; without it, at the head. */
  readonly from?: Position;
  /** Rows read at once. */
  readonly batch?: number;
  /** Longest pause between reads while wake-ups can be relied on, in milliseconds. */
  readonly maxPauseMs?: number;
}

const DEFAULT_BATCH = 200;
/** After so many events in one read the next one comes so many ms later, however many wake-ups do. */
const BUSY_EVENTS = 16;
const BUSY_PAUSE_MS = 5;
/** How soon to look again for committed events that wait for an older transaction, growing while they wait. */
const WAITING_MS = 4;
const MAX_WAITING_MS = 250;

/** Follows the outbox: hands every event from its beginning on to one consumer, in order, at least once. */
export class OutboxTail {
  private readonly poll: AdaptivePoll;
  private unsubscribe: (() => void) | undefined;
  private position: Position | undefined;
  private waitingMs = WAITING_MS;

  constructor(
    private readonly reader: OutboxReader,
    private readonly backplane: Backplane,
    private readonly options: OutboxTailOptions,
  ) {
    this.position = options.from;
    const { onError, maxPauseMs: maxMs } = options;
    this.poll = new AdaptivePoll(() => this.step(), { backplane, onError, ...(maxMs === undefined ? {} : { maxMs }) });
  }

  /** Fixes the beginning, then follows. Resolves once no later commit can be missed. @throws {StoreUnavailableError} */
  async start(): Promise<void> {
    this.position ??= await this.reader.head();
    this.unsubscribe = this.backplane.subscribe('outbox', () => this.poll.wake());
    this.poll.start();
  }

  /** Resolves when the batch under way has been taken. */
  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.poll.stop();
  }

  private async step(): Promise<PollResult> {
    if (!this.position) throw new Error('a tail has a position once it started');
    const limit = this.options.batch ?? DEFAULT_BATCH;
    const page = await this.reader.readAfter(this.position, limit);
    if (page.gap) await this.options.onGap?.(page.position);
    if (page.events.length > 0) await this.options.onEvents(page.events);
    this.position = page.position;
    this.options.onPassed?.(page.position);
    if (page.events.length > 0 || !page.waiting) this.waitingMs = WAITING_MS;
    if (page.more) return { more: true };
    const rest = page.events.length >= BUSY_EVENTS ? { restMs: BUSY_PAUSE_MS } : {};
    if (!page.waiting) return { more: false, ...rest };
    const nextDueInMs = this.waitingMs;
    this.waitingMs = Math.min(nextDueInMs * 2, MAX_WAITING_MS);
    return { more: false, nextDueInMs, ...rest };
  }
}
