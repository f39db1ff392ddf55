import { appendEvents } from '@tyrum/outbox';
import type { Tx } from '@tyrum/statestore';
import type { StepRow, TurnRow, TurnStore } from '@tyrum/statestore/turns';
import { newConversation } from './conversation-view';
import { placeEvents, turnEvent } from './turn-events';
import { isSettled } from './turn-progress';

/** What becomes of a `once` step that was running when its turn was given up: only an operator can tell. */
export type OpenStepDecision = 'retry' | 'done';

export type RedriveOutcome =
  /** A new turn is queued that goes on at the first step without a result. */
  | { readonly kind: 'redriven'; readonly turnId: string }
  | { readonly kind: 'not_dead' }
  | { readonly kind: 'already_redriven'; readonly turnId: string }
  /** Its step may have had its effect: say whether to run it again. */
  | { readonly kind: 'undecided'; readonly stepIndex: number };

/**
 * Brings dead turns back. The dead one stays failed, for nothing may leave a terminal state; a new turn takes over its
 * settled steps, which never run again, and its place in idempotency keys, so that receivers still know a repeated step.
 */
export class TurnRedrive {
  constructor(
    private readonly turns: TurnStore,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {}

  /** Inside the caller's transaction, as its first write. Wake the workers after its commit. */
  async redriveIn(tx: Tx, found: TurnRow, decision?: OpenStepDecision): Promise<RedriveOutcome> {
    const { tenant_id: tenantId, turn_id: dead, conversation_key: conversationKey } = found;
    const ref = { tenantId, conversationKey };
    await tx.lockConversations([ref]);
    const letter = await this.turns.findDead(tx, tenantId, dead);
    if (!letter) return { kind: 'not_dead' };
    if (letter.redriven_as !== null) return { kind: 'already_redriven', turnId: letter.redriven_as };
    const open = (await this.turns.steps(tx, tenantId, dead)).find((step) => !isSettled(step));
    if (open && isUndecided(open) && !decision) return { kind: 'undecided', stepIndex: open.step_index };

    const next = this.stamps.newId();
    const turn = {
      tenant_id: tenantId,
      turn_id: next,
      conversation_key: conversationKey,
      kind: found.kind,
      trigger_kind: 'redrive',
      input: found.input,
      budgets: found.budgets,
    };
    const conversation = newConversation(ref);
    const [enqueued] = await this.turns.enqueue(tx, [{ conversation, turns: [turn], messages: [], events: 1 }]);
    // Any other open step is safe to run again, and what it came to nobody knows.
    const done = decision === 'done' && open !== undefined && isUndecided(open);
    const openStep = { status: done ? 'succeeded' : 'queued', result: done ? '{"resolved":"done"}' : null } as const;
    await this.turns.redrive(tx, { tenantId, dead, next, openStep });
    const stamp = { newId: this.stamps.newId, nowMs: this.stamps.nowMs() };
    await appendEvents(tx, placeEvents(ref, enqueued?.firstEventSeq ?? 0, [turnEvent('turn.queued', next)], stamp));
    return { kind: 'redriven', turnId: next };
  }
}

/** Cut off between intent and result, and not safe to run again. */
function isUndecided(step: StepRow): boolean {
  return step.effect === 'once' && step.status === 'running';
}
