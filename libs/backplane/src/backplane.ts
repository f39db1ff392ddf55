/**
 * The backplane says "look now". It is never the record: a message may be late, doubled or lost, and every consumer also
 * polls the database. What an implementation owes:
 *
 * - `publish` returns at once and never throws. The subscribers of this process have been called when it returns, exactly
 *   once; those of other processes are called as soon as possible, in the order of publishing, or not at all.
 * - A message without a payload is a wake-up. Wake-ups of one topic within a few milliseconds may reach other processes as
 *   one, but never before the first and never only before the last of them was published.
 * - A wake-up for `work` may reach only one of the other processes that listen for it: who finds more than it can do says so.
 * - Losing the connection is an ordinary event: `healthy` turns false, nothing is queued for later, the connection is made
 *   again for ever, and then `onReconnect` handlers are called, because messages may have been missed meanwhile.
 * - Messages reach only processes of the same installation.
 */

/**
 * `work`: a conversation became due · `outbox`: rows were committed · `cancel`: somebody wants a turn cancelled (payload:
 * turn id) · `timers`: a schedule changed · `directed`: messages for single connections were queued or came back · `nodes`: a
 * node came, went, or is trusted differently · `presence`, `stream`: what edges show and nobody records, who is there, pieces
 * of replies and who is typing (payload: JSON, best effort).
 */
export type Topic = 'work' | 'outbox' | 'cancel' | 'timers' | 'directed' | 'nodes' | 'presence' | 'stream';

/**
 * Gets a message's payload; undefined for a wake-up. Returning false says that it has no room for more: where a wake-up
 * reaches one process only, another one is then woken.
 */
export type Handler = (payload: string | undefined) => unknown;

/** An open transaction, as far as it concerns wake-ups. */
export interface CommitTail {
  /** Leaves a NOTIFY of each text to be sent right behind COMMIT; `onLost`: it was not. False = it cannot. */
  notifyBehind(channel: string, texts: readonly string[], onLost: () => void): boolean;
}

export interface Backplane {
  readonly kind: 'local' | 'postgres' | 'redis';
  /** False while other processes cannot be reached; consumers then poll more often. */
  readonly healthy: boolean;
  /** What keeps it from being healthy, in words for operators and without credentials. */
  readonly problem: string | undefined;
  /** Messages that could not be sent to other processes since the start: no connection, too long, or too many at once. */
  readonly dropped: number;
  /** Publishes after the commit it tells of, never before: who looks must find something. */
  publish(topic: Topic, payload?: string): void;
  /**
   * Wake-ups for what a transaction is about to commit: those for other processes travel with its COMMIT where they can. Call what
   * it returns after the commit, in place of `publish`; where the commit's outcome is unknown, publish.
   */
  publishBehind(commit: CommitTail, topics: readonly Topic[]): () => void;
  /** A wake-up after `delayMs`, at most an hour: best effort like the others, and perhaps lost with this process. */
  wakeLater(topic: Topic, delayMs: number): void;
  /**
   * Returns the way to stop. A handler that throws is a programmer's error: it reaches the process as an uncaught exception
   * and never the publisher, whose commit has already happened.
   */
  subscribe(topic: Topic, handler: Handler): () => void;
  /** Called whenever messages may have been missed: look at everything. */
  onReconnect(handler: () => void): () => void;
  close(): Promise<void>;
}
