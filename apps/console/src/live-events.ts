import type { EventPayloads, EventType } from '@tyrum/protocol';

/** The events that change something a page shows. */
const FOLLOWED = [
  'turn.queued',
  'turn.started',
  'turn.resumed',
  'turn.completed',
  'turn.failed',
  'turn.cancelled',
  'turn.blocked',
  'tool.lifecycle',
  'artifact.attached',
  'approval.updated',
  'pairing.updated',
  'capability.ready',
  'presence.upserted',
  'presence.pruned',
  'conversation.created',
  'conversation.updated',
  'message.delta',
  'message.final',
] as const satisfies readonly EventType[];
type Followed = (typeof FOLLOWED)[number];

/** An event; `missed` stands for any number of them that nobody will tell. */
export type LiveEvent = { [T in Followed]: { type: T; payload: EventPayloads[T] } }[Followed] | { type: 'missed' };
export type LiveState = 'connecting' | 'live' | 'retrying';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;

/**
 * The events of `/v1/events`, over one connection for all pages. A browser goes on by itself after a cut, at the event it had
 * last; where the edge answers with an error it gives up for good, and we begin anew and say that something was missed.
 */
export class LiveEvents {
  state: LiveState = 'connecting';
  private source: EventSource | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retryMs = FIRST_RETRY_MS;
  private isAnew = false;
  private readonly listeners = new Set<(event: LiveEvent) => void>();
  private readonly watchers = new Set<() => void>();

  start(): void {
    const source = new EventSource('/v1/events');
    this.source = source;
    source.addEventListener('ready', () => this.reached(this.isAnew));
    source.addEventListener('gap', () => this.reached(true));
    source.addEventListener('error', () => this.cut(source));
    for (const type of FOLLOWED) {
      source.addEventListener(type, ({ data }) => {
        const { payload } = JSON.parse(data as string) as { payload: never };
        this.tell({ type, payload });
      });
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.source?.close();
  }

  /** @returns what ends it */
  listen(listener: (event: LiveEvent) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Calls `watcher` whenever `state` is another. @returns what ends it */
  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  };

  private reached(missed: boolean): void {
    this.retryMs = FIRST_RETRY_MS;
    this.isAnew = false;
    this.become('live');
    if (missed) this.tell({ type: 'missed' });
  }

  private cut(source: EventSource): void {
    this.become('retrying');
    if (source.readyState !== EventSource.CLOSED) return;
    this.isAnew = true;
    this.timer = setTimeout(() => this.start(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
  }

  private become(state: LiveState): void {
    if (this.state === state) return;
    this.state = state;
    for (const watcher of this.watchers) watcher();
  }

  private tell(event: LiveEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}
