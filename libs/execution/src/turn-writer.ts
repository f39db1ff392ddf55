import type { Backplane, Topic } from '@tyrum/backplane';
import { noteAudit, type AuditNote } from '@tyrum/evidence';
import { appendEvents, type OutboxEvent } from '@tyrum/outbox';
import { LIMITS } from '@tyrum/protocol';
import {
  StoreUnavailableError,
  UnknownCommitError,
  type ConversationRef,
  type StateStore,
  type Tx,
} from '@tyrum/statestore';
import {
  ConversationStore,
  NotAsHopedError,
  settleTurns,
  type ConversationWrite,
  type NewMessage,
  type StartWrite,
  type TurnRow,
  type TurnStore,
  type WaitId,
  type WaitRow,
  type Written,
} from '@tyrum/statestore/turns';
import {
  conversationCreated,
  conversationOf,
  conversationsUpdated,
  newConversation,
  refOf,
  textOf,
} from './conversation-view';
import { GroupCommit } from './group-commit';
import { sideEffects } from './step-audit';
import type { Alongside } from './step-executor';
import { arriveIn, type Arrival } from './waits';
import { messageFinal, placeEvents, turnEvent, type EventDraft } from './turn-events';

/** Thrown out of a transaction in which something did not allow the write it belongs to: the others are to be done without. */
class AlongsideRefusedError extends Error {
  constructor(readonly write: TurnWrite) {
    super('what belongs to a write did not allow it');
    this.name = 'AlongsideRefusedError';
  }
}

const REFUSED: Written = { applied: false, started: [], settled: [], ready: false, firstEventSeq: 0 };

/** A queued turn that begins, and may have ended already, with the events that tell of it. */
export interface TurnStart extends Omit<StartWrite, 'events'> {
  readonly events: readonly EventDraft[];
}

/** One lease holder's write with the events that go into the same commit. */
export interface TurnWrite {
  readonly write: Omit<ConversationWrite, 'events' | 'starts'>;
  readonly events: readonly EventDraft[];
  /** Their events come after `events`, of those alone that took place. */
  readonly starts: readonly TurnStart[];
  /** A message for another conversation, written only if this write is. */
  readonly post?: NewMessage;
  /** What the end of the turn is for the one that waits for it; its conversation is locked with this one. */
  readonly arrival?: Arrival & { readonly waiter: ConversationRef };
  /** Written only if this is; and if it refuses, nothing of this is. */
  readonly alongside?: Alongside;
}

/** What a transaction came to if it was committed, and by what it can be found. */
interface Outcome {
  readonly written: Written[];
  readonly transactionId: string;
  readonly eventId: string | undefined;
}

/** Nobody needs to be woken for what is due later: every poll comes round until then. */
const MAX_WAKE_DELAY_MS = 60 * 60 * 1_000;

/**
 * Writes lease holders' progress behind their fences, many conversations a commit. A write whose lease is lost comes back
 * with `applied: false` and left no trace: neither state, nor event, nor message.
 */
export class TurnWriter {
  private readonly commits: GroupCommit<TurnWrite, Written>;
  private readonly conversations = new ConversationStore();

  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly backplane: Backplane,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {
    this.commits = new GroupCommit<TurnWrite, Written>((batch) => this.commit(batch), {
      maxBatch: LIMITS.settleBatch,
      maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by the conversations a worker runs at once
      // SQLite has one writer.
      lanes: store.dialect === 'postgres' ? LIMITS.settleLanes : 1,
      keyOf: ({ write }) => conversationOf(write),
    });
  }

  /** @throws {StoreUnavailableError} nothing was written; try again while the lease lasts */
  submit(write: TurnWrite): Promise<Written> {
    return this.commits.submit(write);
  }

  idle(): Promise<void> {
    return this.commits.idle();
  }

  /** For how long a turn has been under way, in ms. */
  elapsedMs({ tenant_id, turn_id }: TurnRow): Promise<number> {
    return this.store.read((db) => this.turns.elapsedMs(db, tenant_id, turn_id));
  }

  /** What a turn waits for, if it has arrived. */
  arrived(wait: WaitId): Promise<WaitRow | undefined> {
    return this.store.read((db) => this.turns.findWait(db, wait));
  }

  /** The inputs that wait in a conversation for a turn to take them, oldest first. */
  waitingInputs(ref: ConversationRef): Promise<TurnRow[]> {
    return this.turns.waitingInputs(ref, LIMITS.inputsPerDelivery);
  }

  /** Writes inside the caller's transaction, which has locked the conversation. */
  async writeIn(tx: Tx, write: TurnWrite): Promise<Written> {
    const { written } = await this.write(tx, [write], false);
    if (!written[0]) throw new Error('a write has an outcome');
    return written[0];
  }

  private async commit(all: readonly TurnWrite[]): Promise<Written[]> {
    const refused = new Set<TurnWrite>();
    for (let hopeful = true; refused.size < all.length;) {
      const batch = all.filter((write) => !refused.has(write));
      let done: Outcome | undefined;
      const publish = () => topicsOf(done?.written ?? []).forEach((topic) => this.backplane.publish(topic));
      let wake = publish;
      try {
        await this.store.transaction(async (tx) => {
          void tx.lockConversations(batch.flatMap(refsOf));
          done = await this.write(tx, batch, hopeful);
          wake = this.backplane.publishBehind(tx, topicsOf(done.written));
        });
      } catch (error) {
        if (error instanceof NotAsHopedError) {
          hopeful = false;
          continue;
        }
        if (error instanceof AlongsideRefusedError) {
          refused.add(error.write);
          continue;
        }
        if (!(error instanceof UnknownCommitError) || !done) throw error;
        // Writing again could do it twice: ask what became of the first time.
        if (!(await this.tookPlace(done))) continue;
        // What was to follow the COMMIT went with the connection, perhaps.
        wake = publish;
      }
      const written = done?.written ?? [];
      wake();
      for (const delayMs of delaysOf(batch, written)) this.backplane.wakeLater('work', delayMs);
      batch.forEach(({ alongside }, i) => written[i]?.applied && alongside?.committed?.());
      if (refused.size === 0) return written;
      const outcomes = new Map(batch.map((write, i) => [write, written[i]]));
      return all.map((write) => outcomes.get(write) ?? REFUSED);
    }
    return all.map(() => REFUSED);
  }

  /**
   * Asks until it is told: what cut the commit off may well keep the database away for a while, and an error from here would
   * pass for "nothing was written" and have the same write made again.
   */
  private async tookPlace({ transactionId, eventId }: Outcome): Promise<boolean> {
    for (;;) {
      try {
        return await this.store.wasCommitted(transactionId, eventId);
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
  }

  private async write(tx: Tx, batch: readonly TurnWrite[], hopeful: boolean): Promise<Outcome> {
    const writes = batch.map(({ write, events, starts }) => ({
      // The one more tells of the conversation itself.
      events: events.length + (write.messages.length > 0 ? 1 : 0),
      starts: starts.map(({ turn, steps, events: told }) => ({ turn, steps, events: told.length })),
      ...write,
    }));
    const settled = await settleTurns(tx, writes, { hopeful });
    const stamp = { newId: this.stamps.newId, nowMs: this.stamps.nowMs() };
    const rows: OutboxEvent[] = [];
    const notes: AuditNote[] = [];
    const talked = batch.flatMap(({ write }, i) =>
      settled.written[i]?.applied && write.messages.length > 0 ? [write] : [],
    );
    const updated = talked.length > 0 ? await conversationsUpdated(tx, this.conversations, talked) : [];
    for (const [i, { write, events, starts }] of batch.entries()) {
      const written = settled.written[i];
      if (!written?.applied) continue;
      const begun = starts.filter(({ turn }) => written.started.includes(turn.turnId));
      notes.push(...sideEffects(write, write.token, [...write.steps, ...begun.flatMap((start) => start.steps)]));
      const told = begun.flatMap((start) => start.events);
      const taken = written.settled.map((turnId) => turnEvent('turn.completed', turnId));
      const last = write.messages.length > 0 ? updated.splice(0, 1) : [];
      rows.push(...placeEvents(write, written.firstEventSeq, [...events, ...told, ...taken, ...last], stamp));
    }
    let madeReady = false;
    for (const [i, { arrival }] of batch.entries()) {
      if (!arrival || !settled.written[i]?.applied) continue;
      madeReady = (await arriveIn(tx, this.turns, arrival, [arrival.waiter])) === 'ready' || madeReady;
    }
    for (const [i, { post }] of batch.entries()) {
      if (post && settled.written[i]?.applied) rows.push(...(await this.post(tx, post, stamp)));
    }
    if (notes.length > 0) void noteAudit(tx, notes);
    // Before what is written alongside: its events have the places behind these.
    if (rows.length > 0) void appendEvents(tx, rows);
    for (const [i, write] of batch.entries()) {
      if (!write.alongside || !settled.written[i]?.applied) continue;
      if ((await write.alongside.writeIn(tx)) === false) throw new AlongsideRefusedError(write);
    }
    const written = madeReady ? settled.written.map((w) => ({ ...w, ready: true })) : settled.written;
    return { transactionId: settled.transactionId, eventId: rows[0]?.eventId, written };
  }

  private async post(
    tx: Tx,
    message: NewMessage,
    stamp: { newId: () => string; nowMs: number },
  ): Promise<OutboxEvent[]> {
    const ref = refOf(message);
    const conversation = newConversation(ref);
    const [enqueued] = await this.turns.enqueue(tx, [{ conversation, turns: [], messages: [message], events: 2 }]);
    const [updated] = await conversationsUpdated(tx, this.conversations, [ref]);
    const final = messageFinal({
      conversationKey: message.conversation_key,
      messageId: message.message_id,
      role: message.role,
      content: textOf(JSON.parse(message.parts) as object[]),
    });
    const drafts = [
      ...(enqueued?.created ? [conversationCreated(conversation, stamp.nowMs)] : []),
      final,
      ...(updated ? [updated] : []),
    ];
    return placeEvents(ref, enqueued?.firstEventSeq ?? 0, drafts, stamp);
  }
}

/** Whom a commit concerns. */
function topicsOf(written: readonly Written[]): Topic[] {
  return written.some((w) => w.ready) ? ['outbox', 'work'] : ['outbox'];
}

function refsOf({ write, post, arrival }: TurnWrite): ConversationRef[] {
  return [write, ...(post ? [refOf(post)] : []), ...(arrival ? [arrival.waiter] : [])];
}

/**
 * After how long conversations of a batch fall due again, each delay once. Who looks into the database learns of the next one
 * by itself; this is for the case that whoever last looked did so before, or is gone by then.
 */
function delaysOf(batch: readonly TurnWrite[], written: readonly Written[]): Iterable<number> {
  const delays = batch.flatMap(({ write: { next } }, i) =>
    next.kind === 'retry' && next.dueMs > 0 && written[i]?.applied ? [next.dueMs] : [],
  );
  return new Set(delays.filter((delayMs) => delayMs <= MAX_WAKE_DELAY_MS));
}
