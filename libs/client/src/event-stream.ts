import type { EventEnvelope, EventType, ReceivedEvent } from '@tyrum/protocol';
import { BacklogError } from './errors';
import { RecentIds } from './recent-ids';

export type EventHandler<T extends EventType> = (event: EventEnvelope<T>) => void;
type AnyHandler = (event: ReceivedEvent) => void;

interface Reader {
  readonly buffer: ReceivedEvent[];
  wake: () => void;
  end?: { readonly error?: Error };
}

export interface EventStreamLimits {
  /** How many event ids are remembered to recognize what is delivered again. */
  readonly remembered: number;
  /** How many events may wait in one iterator. */
  readonly buffered: number;
}

/** Events as they arrive, each once, to handlers and iterators. */
export class EventStream {
  private readonly handlers = new Map<string, Set<AnyHandler>>();
  private readonly readers = new Set<Reader>();
  private readonly seen: RecentIds;
  private ended: { readonly error?: Error } | undefined;

  constructor(private readonly limits: EventStreamLimits) {
    this.seen = new RecentIds(limits.remembered);
  }

  /** @returns what takes the handler away again */
  on(type: string, handler: AnyHandler): () => void {
    const known = this.handlers.get(type) ?? new Set<AnyHandler>();
    this.handlers.set(type, known.add(handler));
    return () => void known.delete(handler);
  }

  push(event: ReceivedEvent): void {
    if (!this.seen.add(event.event_id)) return;
    for (const type of [event.type, '*']) {
      for (const handler of this.handlers.get(type) ?? []) handler(event);
    }
    for (const reader of this.readers) {
      if (reader.buffer.length < this.limits.buffered) reader.buffer.push(event);
      else reader.end ??= { error: new BacklogError('events', this.limits.buffered) };
      reader.wake();
    }
  }

  /** Every iterator ends, with `error` if there is one. */
  end(error?: Error): void {
    this.ended = error ? { error } : {};
    for (const reader of this.readers) {
      reader.end ??= this.ended;
      reader.wake();
    }
  }

  /** Events from the moment of the call on. Ends when the client is closed. */
  iterate(): AsyncIterableIterator<ReceivedEvent> {
    const reader: Reader = { buffer: [], wake: () => {}, ...(this.ended ? { end: this.ended } : {}) };
    this.readers.add(reader);
    const close = (): void => void this.readers.delete(reader);
    const events = read(reader, close);
    return events;
  }
}

/** A plain object rather than a generator: a generator's `return` waits behind a `next` that waits for an event. */
function read(reader: Reader, close: () => void): AsyncIterableIterator<ReceivedEvent> {
  const done = { value: undefined, done: true } as const;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      for (;;) {
        const event = reader.buffer.shift();
        if (event) return { value: event, done: false };
        if (reader.end) {
          close();
          if (reader.end.error) throw reader.end.error;
          return done;
        }
        await new Promise<void>((resolve) => (reader.wake = resolve));
      }
    },
    async return() {
      reader.end ??= {};
      reader.buffer.length = 0;
      reader.wake();
      close();
      return done;
    },
  };
}
