import type { Backplane } from '@tyrum/backplane';
import type { StepError } from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import { ApprovalStore, type QueueRow, type StepRow, type TurnRow, type TurnStore } from '@tyrum/statestore/turns';
import { approvalUpdated } from './approval-view';
import { extended, type ModelPrice } from './turn-budget';
import * as progress from './turn-progress';
import type { TurnChange } from './turn-progress';
import type { TurnWrite, TurnWriter } from './turn-writer';
import { arrivalOfEnd } from './waits';

/** What became of the wish to cancel a turn. */
export type CancelOutcome =
  /** It is cancelled, or its worker has been told and will cancel it. */
  | 'cancelled'
  /** It had ended before. */
  | 'already_ended'
  | 'not_found';

/** How an operator settles a step of unknown outcome. */
export interface Resolution {
  /** `retry`: run it again · `done`: it had its effect, go on after it · `fail`: it did not, and the turn fails. */
  readonly decision: 'retry' | 'done' | 'fail';
  readonly reason?: string;
  /** With `done`: what the step's result shall be. */
  readonly result?: object;
}

export type ResolveOutcome =
  | { readonly kind: 'resolved' }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'not_parked'; readonly status: string };

/** The outside hands on a turn: they change it at once while nobody runs it, and leave word for whoever does. */
export class TurnControl {
  private readonly approvals = new ApprovalStore();

  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly writer: TurnWriter,
    private readonly backplane: Backplane,
    private readonly modelPrice?: ModelPrice,
  ) {}

  async cancel(tenantId: string, turnId: string, reason?: string): Promise<CancelOutcome> {
    const found = await this.store.read((db) => this.turns.find(db, tenantId, turnId));
    if (!found) return 'not_found';
    const outcome = await this.store.transaction((tx) => this.cancelIn(tx, found, reason ?? null));
    // Only a hint: the worker also finds the wish in the database at its next renewal.
    this.backplane.publish('cancel', turnId);
    this.wake();
    return outcome;
  }

  /** The same inside the caller's transaction, as its first write. */
  async cancelIn(
    tx: Tx,
    found: Pick<TurnRow, 'tenant_id' | 'turn_id' | 'conversation_key' | 'parent_conversation_key'>,
    reason: string | null,
  ): Promise<CancelOutcome> {
    const { turn, queue } = await this.lock(tx, found);
    if (!turn) return 'not_found';
    if (isEnded(turn)) return 'already_ended';
    if (queue?.state === 'leased' && turn.status !== 'queued') {
      await this.turns.requestCancel(tx, turn, reason);
      return 'cancelled';
    }
    const open =
      turn.status === 'queued'
        ? []
        : (await this.turns.steps(tx, turn.tenant_id, turn.turn_id)).filter((s) => !progress.isSettled(s));
    const cut = open.map((step) => ({ ...step, status: 'cancelled' as const }));
    const change = progress.cancelTurn(turn, reason);
    const next = await this.nextAfterCancel(turn, queue);
    const voided = turn.wait_kind === 'approval' ? await this.approvals.voidAll(tx, turn) : [];
    const events = [...change.events, ...voided.map(approvalUpdated)];
    await this.writer.writeIn(tx, outsideWrite(turn, { ...change, events }, cut, next));
    return 'cancelled';
  }

  /** Behind a running or waiting turn the row keeps its state; otherwise it is ready for the next turn, or idle. */
  private async nextAfterCancel(turn: TurnRow, queue: QueueRow | undefined): Promise<'keep' | 'release'> {
    if (turn.status !== 'queued') return 'release';
    if (queue?.state !== 'ready') return 'keep';
    const ref = { tenantId: turn.tenant_id, conversationKey: turn.conversation_key };
    const open = await this.turns.loadWork(ref, 1);
    return open[0]?.turn.status === 'queued' ? 'release' : 'keep';
  }

  /** Settles the unknown outcome a turn is parked for; its conversation goes on with any worker. */
  async resolve(tenantId: string, turnId: string, resolution: Resolution): Promise<ResolveOutcome> {
    const found = await this.store.read((db) => this.turns.find(db, tenantId, turnId));
    if (!found) return { kind: 'not_found' };
    const outcome = await this.store.transaction((tx) => this.resolveIn(tx, found, resolution));
    if (outcome.kind === 'resolved') this.wake();
    return outcome;
  }

  /** The same inside the caller's transaction, as its first write. */
  async resolveIn(tx: Tx, found: TurnRow, resolution: Resolution): Promise<ResolveOutcome> {
    const { turn } = await this.lock(tx, found);
    if (!turn) return { kind: 'not_found' };
    const step = (await this.turns.steps(tx, turn.tenant_id, turn.turn_id)).at(-1);
    if (turn.status !== 'paused' || turn.wait_kind !== 'manual' || !step)
      return { kind: 'not_parked', status: turn.status };
    if (turn.blocked_reason === 'budget') return this.resolveBudget(tx, turn, resolution);
    const decided = decideStep(step, resolution);
    // The turn stays paused, waiting for nothing: the next worker resumes it from the step as decided.
    const change: TurnChange = {
      patch: { turnId: turn.turn_id, turnSeq: turn.turn_seq, attempt: turn.attempt, status: 'paused' },
      events: [],
      messages: [],
    };
    await this.writer.writeIn(tx, outsideWrite(turn, change, [decided], 'retry'));
    return { kind: 'resolved' };
  }

  /** `fail` ends the turn; otherwise it may spend as much again and goes on, with an open step decided like any other. */
  private async resolveBudget(tx: Tx, turn: TurnRow, resolution: Resolution): Promise<ResolveOutcome> {
    const { tenant_id: tenantId, turn_id: turnId } = turn;
    const steps = await this.turns.steps(tx, tenantId, turnId);
    const open = steps.filter((step) => !progress.isSettled(step));
    if (resolution.decision === 'fail') {
      const error = { code: 'budget_exceeded', message: resolution.reason ?? turn.blocked_detail ?? 'over its budget' };
      const change = progress.finishTurn(turn, { kind: 'finish', status: 'failed', error });
      const cut = open.map((step) => ({ ...step, status: 'cancelled' as const }));
      await this.writer.writeIn(tx, outsideWrite(turn, change, cut, 'release'));
      return { kind: 'resolved' };
    }
    const elapsedMs = await this.turns.elapsedMs(tx, tenantId, turnId);
    await this.turns.setBudgets(tx, turn, extended(turn, { elapsedMs, steps, price: this.modelPrice }));
    const patch = { turnId, turnSeq: turn.turn_seq, attempt: turn.attempt, status: 'paused' } as const;
    const decided = open.map((step) => decideStep(step, resolution));
    await this.writer.writeIn(tx, outsideWrite(turn, { patch, events: [], messages: [] }, decided, 'retry'));
    return { kind: 'resolved' };
  }

  private async lock(
    tx: Tx,
    {
      tenant_id,
      turn_id,
      conversation_key,
      parent_conversation_key: parent,
    }: Pick<TurnRow, 'tenant_id' | 'turn_id' | 'conversation_key' | 'parent_conversation_key'>,
  ): Promise<{ turn: TurnRow | undefined; queue: QueueRow | undefined }> {
    const ref: ConversationRef = { tenantId: tenant_id, conversationKey: conversation_key };
    await tx.lockConversations(parent === null ? [ref] : [ref, { tenantId: tenant_id, conversationKey: parent }]);
    const [queue] = await this.turns.hold(tx, [ref]);
    return { turn: await this.turns.find(tx, tenant_id, turn_id), queue };
  }

  /** After a commit: whoever waits for work or events may look. */
  wake(): void {
    this.backplane.publish('work');
    this.backplane.publish('outbox');
  }
}

function isEnded(turn: TurnRow): boolean {
  return turn.status === 'succeeded' || turn.status === 'failed' || turn.status === 'cancelled';
}

function decideStep(step: StepRow, { decision, reason, result }: Resolution): StepRow {
  switch (decision) {
    case 'retry':
      return { ...step, status: 'queued', error: null };
    case 'done':
      return { ...step, status: 'succeeded', error: null, result: JSON.stringify({ resolved: 'done', ...result }) };
    case 'fail': {
      const error: StepError = { code: 'resolved_failed', message: reason ?? 'an operator declared the step failed' };
      return { ...step, status: 'failed', error: JSON.stringify(error) };
    }
  }
}

function outsideWrite(
  turn: TurnRow,
  change: TurnChange,
  steps: readonly StepRow[],
  next: 'keep' | 'release' | 'retry',
): TurnWrite {
  const status = change.patch?.status;
  const arrival = status === 'cancelled' || status === 'failed' ? arrivalOfEnd(turn, status) : undefined;
  return {
    write: {
      tenantId: turn.tenant_id,
      conversationKey: turn.conversation_key,
      token: null,
      ...(change.patch ? { turn: change.patch } : {}),
      steps: steps.map(progress.stepWrite),
      messages: [],
      dequeued: turn.status === 'queued' ? 1 : 0,
      next: next === 'retry' ? { kind: 'retry', dueMs: 0 } : { kind: next },
    },
    events: [...steps.map((step) => progress.stepEvent(turn, step)), ...change.events],
    ...(arrival ? { arrival } : {}),
    starts: [],
  };
}
