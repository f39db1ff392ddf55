import type { Backplane } from '@tyrum/backplane';
import { IdempotencyLedger, type IdempotencyKey, type Reservation } from '@tyrum/idempotency';
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
  type Enqueue,
  type NewMessage,
  type NewTurn,
  type TurnKind,
  type TurnStore,
} from '@tyrum/statestore/turns';
import type { ClaimAlong, Claimer } from './claim-along';
import {
  conversationCreated,
  conversationOf,
  conversationsUpdated,
  newConversation,
  refOf,
  textOf,
} from './conversation-view';
import { GroupCommit } from './group-commit';
import { InputQueue, QueueFullError } from './input-queue';
import { TurnControl } from './turn-control';
import { TurnWriter } from './turn-writer';
import { messageFinal, placeEvents, turnEvent, type EventDraft } from './turn-events';

/** A turn to accept. The caller has validated all of it. */
export interface AcceptRequest extends ConversationRef {
  readonly turnId: string;
  readonly kind: TurnKind;
  /** What brought it: `workflow`, `message`, `schedule`. */
  readonly triggerKind: string;
  readonly input: object;
  readonly budgets?: object;
  /** A message that belongs into the transcript in the same commit. */
  readonly message?: { readonly messageId: string; readonly parts: readonly object[]; readonly metadata?: object };
  /** Under which key the request is the same request, and what every later copy of it is answered. */
  readonly idempotency: IdempotencyKey;
  readonly answer: object;
  /**
   * More that belongs into the commit, and is nowhere else: a copy of an accepted request does it too, and is rolled back. It must
   * not fail for what the caller could have checked: others share the commit.
   */
  readonly alongside?: (tx: Tx) => Promise<void>;
  /** −10 to 10, 0 when absent; each step goes before what has waited up to 30 s longer. */
  readonly priority?: number;
  /** The turn whose step may wait for this one's end, under this one's id. */
  readonly parent?: { readonly turnId: string; readonly conversationKey: string };
}

export type AcceptOutcome =
  /** The turn is durable. `replayed`: an earlier copy of the request brought it, and this is that copy's answer. */
  | { readonly kind: 'accepted'; readonly answer: object; readonly replayed: boolean }
  /** The key was used with another payload. */
  | { readonly kind: 'conflict' };

interface Accepted {
  readonly outcomes: AcceptOutcome[];
  /** Running turns that were asked to stop. */
  readonly stopped: string[];
}

/** Thrown out of a transaction that counted on new keys and met a known one. */
class NotAllFreshError extends Error {}

const MAX_UNKNOWN_RETRIES = 5;

/**
 * Accepts turns: idempotency record, turn, message and events in one commit, many requests a commit. An answer is given
 * only after COMMIT returned. Accepting twice under one key accepts once, so a commit of unknown outcome is simply sent
 * again.
 */
export class TurnIntake {
  private readonly commits: GroupCommit<AcceptRequest, AcceptOutcome | QueueFullError>;
  private readonly inputs: InputQueue;
  private readonly conversations = new ConversationStore();
  /** Who runs turns in this process, if anybody does. */
  claimer: Claimer | undefined;

  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly ledger: IdempotencyLedger,
    private readonly backplane: Backplane,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {
    const writer = new TurnWriter(store, turns, backplane, stamps);
    this.inputs = new InputQueue(turns, new TurnControl(store, turns, writer, backplane));
    this.commits = new GroupCommit<AcceptRequest, AcceptOutcome | QueueFullError>(
      (batch) => this.commitWithRoom(batch),
      {
        maxBatch: LIMITS.acceptBatch,
        maxWaiting: LIMITS.acceptQueue,
        // SQLite has one writer.
        lanes: store.dialect === 'postgres' ? LIMITS.acceptLanes : 1,
        keyOf: conversationOf,
      },
    );
  }

  /**
   * @throws {OverloadedError} too many requests wait; nothing was written
   * @throws {QueueFullError} too many turns wait in the conversation; nothing was written
   * @throws {StoreUnavailableError} nothing was written
   * @throws {UnknownCommitError} it may have been written: the caller asks again with the same key
   */
  async accept(request: AcceptRequest): Promise<AcceptOutcome> {
    const outcome = await this.commits.submit(request);
    if (outcome instanceof QueueFullError) throw outcome;
    return outcome;
  }

  /**
   * Accepts inside the caller's transaction, which has locked the conversation. Wake the workers after its commit.
   * @throws {QueueFullError} the transaction must not commit
   */
  async acceptIn(tx: Tx, request: AcceptRequest): Promise<AcceptOutcome> {
    const { outcomes } = await this.write(tx, [request]);
    const [outcome] = outcomes;
    if (!outcome) throw new Error('an accepted turn has an outcome');
    return outcome;
  }

  /** Tells workers and event readers to look. */
  wake(): void {
    this.backplane.publish('work');
    this.backplane.publish('outbox');
  }

  /** Resolves when no accept is under way. */
  idle(): Promise<void> {
    return this.commits.idle();
  }

  /** Commits a batch without those that found their conversation's queue full. */
  private async commitWithRoom(batch: readonly AcceptRequest[]): Promise<(AcceptOutcome | QueueFullError)[]> {
    const refused = new Map<string, QueueFullError>();
    for (;;) {
      const wanted = batch.filter(({ turnId }) => !refused.has(turnId));
      try {
        const outcomes = wanted.length > 0 ? await this.commit(wanted) : [];
        const of = new Map(wanted.map(({ turnId }, i) => [turnId, outcomes[i] as AcceptOutcome]));
        return batch.map(({ turnId }) => refused.get(turnId) ?? (of.get(turnId) as AcceptOutcome));
      } catch (error) {
        if (!(error instanceof QueueFullError)) throw error;
        for (const turnId of error.turnIds) refused.set(turnId, error);
      }
    }
  }

  private async commit(batch: readonly AcceptRequest[]): Promise<AcceptOutcome[]> {
    // The careful way tells copies within the batch apart.
    let hopeful = new Set(batch.map(({ idempotency }) => idempotency.key)).size === batch.length;
    let unknown: UnknownCommitError | undefined;
    let { claimer } = this;
    for (let attempt = 1; ; attempt += 1) {
      let wake = () => this.wake();
      let along: ClaimAlong | undefined;
      let asked = false;
      try {
        const { outcomes, stopped } = await this.store.transaction(async (tx) => {
          // Of a try that the database had made again, which may have been for the claim.
          along?.dropped();
          if (asked) claimer = along = undefined;
          void tx.lockConversations(batch);
          const accepted = await (hopeful ? this.writeAllFresh(tx, batch) : this.write(tx, batch));
          asked = claimer !== undefined;
          along = await claimer?.claimIn(tx, new Set(batch.map(conversationOf)).size);
          wake = this.backplane.publishBehind(tx, along ? ['outbox'] : ['work', 'outbox']);
          return accepted;
        });
        along?.committed();
        wake();
        // A hint: their workers also find the wish in the database at the next renewal.
        for (const turnId of stopped) this.backplane.publish('cancel', turnId);
        return outcomes;
      } catch (error) {
        along?.dropped();
        // What stopped this attempt says nothing of the one before it.
        if (error instanceof StoreUnavailableError) throw unknown ?? error;
        if (error instanceof NotAllFreshError) hopeful = false;
        else if (error instanceof UnknownCommitError && attempt < MAX_UNKNOWN_RETRIES) unknown = error;
        // That nothing can be claimed is no reason to accept nothing.
        else if (asked && !(error instanceof UnknownCommitError)) claimer = undefined;
        else throw error;
      }
    }
  }

  /**
   * Nearly every request is new, so its turn is counted and written without waiting for what its key is found to be: one round
   * trip less. @throws {NotAllFreshError} a key was taken before: the transaction must not commit
   */
  private async writeAllFresh(tx: Tx, batch: readonly AcceptRequest[]): Promise<Accepted> {
    // In this order: what is written next needs the numbers that the first statement gives, and waits for no other.
    const enqueued = this.enqueue(tx, batch);
    // A copy of what was accepted before finds no fault with it, as that its queue is full now.
    enqueued.catch(() => undefined);
    const reserved = this.ledger.reserveFresh(tx, batch.map(toReserve));
    if (!(await reserved)) throw new NotAllFreshError('a key was taken before');
    const stopped = await enqueued;
    return { outcomes: batch.map(({ answer }) => ({ kind: 'accepted', answer, replayed: false })), stopped };
  }

  private async write(tx: Tx, batch: readonly AcceptRequest[]): Promise<Accepted> {
    const reservations = await this.ledger.reserveAll(tx, batch.map(toReserve));
    const fresh = batch.filter((_, i) => reservations[i]?.kind === 'fresh');
    const stopped = fresh.length > 0 ? await this.enqueue(tx, fresh) : [];
    return { outcomes: reservations.map(toOutcome), stopped };
  }

  /** Returns the running turns that were asked to stop. */
  private async enqueue(tx: Tx, requests: readonly AcceptRequest[]): Promise<string[]> {
    const groups = new Map<string, AcceptRequest[]>();
    for (const request of requests) {
      const key = conversationOf(request);
      const group = groups.get(key);
      if (group) group.push(request);
      else groups.set(key, [request]);
    }
    const batch = [...groups.values()].map((group) => toEnqueue(group));
    const enqueued = await this.turns.enqueue(tx, batch);
    const nowMs = this.stamps.nowMs();
    const events: OutboxEvent[] = [];
    const talked = batch.flatMap(({ conversation, messages }) => (messages.length > 0 ? [refOf(conversation)] : []));
    const updated = talked.length > 0 ? await conversationsUpdated(tx, this.conversations, talked) : [];
    [...groups.values()].forEach((group, i) => {
      const { created = false, firstEventSeq = 0 } = enqueued[i] ?? {};
      const { conversation, messages } = batch[i] as Enqueue;
      const drafts = [
        ...(created ? [conversationCreated(conversation, nowMs)] : []),
        ...group.flatMap(draftsOf),
        ...(messages.length > 0 ? updated.splice(0, 1) : []),
      ];
      const ref = refOf(conversation);
      events.push(...placeEvents(ref, firstEventSeq, drafts, { newId: this.stamps.newId, nowMs }));
    });
    for (const request of requests) {
      if (request.parent) await this.turns.setParent(tx, request, request.turnId, request.parent);
    }
    void appendEvents(tx, events);
    for (const { alongside } of requests) if (alongside) await alongside(tx);
    const stopped: string[] = [];
    for (const [i, group] of [...groups.values()].entries()) {
      const state = enqueued[i];
      const { tenantId, conversationKey } = group[0] as AcceptRequest;
      if (!state) continue;
      const [turnIds, input] = [group.map(({ turnId }) => turnId), group.some(({ kind }) => kind === 'chat')];
      const arrival = { tenantId, conversationKey, turnIds, input, enqueued: state };
      stopped.push(...(await this.inputs.settleArrival(tx, arrival)));
    }
    return stopped;
  }
}

function toReserve({ answer, idempotency }: AcceptRequest): IdempotencyKey & { readonly response: string } {
  return { response: JSON.stringify(answer), ...idempotency };
}

function toOutcome(reservation: Reservation): AcceptOutcome {
  if (reservation.kind === 'conflict') return { kind: 'conflict' };
  const answer = JSON.parse(reservation.response) as object;
  return { kind: 'accepted', answer, replayed: reservation.kind === 'replay' };
}

function toEnqueue(group: readonly AcceptRequest[]): Enqueue {
  const first = group[0] as AcceptRequest;
  const messages = group.flatMap(toMessages);
  return {
    conversation: newConversation(first),
    turns: group.map(toTurn),
    messages,
    // The one more tells of the conversation itself.
    events: group.reduce((sum, request) => sum + draftsOf(request).length, messages.length > 0 ? 1 : 0),
    priority: Math.max(...group.map(({ priority }) => priority ?? 0)),
  };
}

function toTurn(request: AcceptRequest): NewTurn {
  return {
    tenant_id: request.tenantId,
    turn_id: request.turnId,
    conversation_key: request.conversationKey,
    kind: request.kind,
    trigger_kind: request.triggerKind,
    input: JSON.stringify(request.input),
    budgets: request.budgets ? JSON.stringify(request.budgets) : null,
  };
}

function toMessages(request: AcceptRequest): NewMessage[] {
  if (!request.message) return [];
  return [
    {
      tenant_id: request.tenantId,
      conversation_key: request.conversationKey,
      message_id: request.message.messageId,
      turn_id: request.turnId,
      role: 'user',
      parts: JSON.stringify(request.message.parts),
      metadata: request.message.metadata ? JSON.stringify(request.message.metadata) : null,
    },
  ];
}

function draftsOf(request: AcceptRequest): EventDraft[] {
  const { conversationKey, message, turnId } = request;
  const queued = turnEvent('turn.queued', turnId);
  if (!message) return [queued];
  const content = textOf(message.parts);
  return [messageFinal({ conversationKey, messageId: message.messageId, role: 'user', content, turnId }), queued];
}
