import { noteAudit } from '@tyrum/evidence';
import { appendEvents } from '@tyrum/outbox';
import { agentKeyOf, fingerprintUuid, type Action } from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import type { ApprovalStore, StepRow, TurnRow, TurnStore } from '@tyrum/statestore/turns';
import { approvalUpdated, bindingOf, blockedOnApproval } from './approval-view';
import type { Alongside, StepOutcome } from './step-executor';
import { matchesPattern, subjectOf, toolIdsOf } from './tool-pattern';
import { placeEvents, type EventDraft } from './turn-events';
import { summaryOf } from './turn-progress';

export interface GatePorts {
  readonly store: StateStore;
  readonly turns: TurnStore;
  readonly approvals: ApprovalStore;
  readonly stamps: { readonly newId: () => string; readonly nowMs: () => number };
}

export interface GatePolicy {
  /** Tools that are asked for: an action's type, or with what it does (`Http`, `Filesystem.write`). */
  readonly tools: ReadonlySet<string>;
  /** After so long an approval that nobody gave is refused, in ms. */
  readonly ttlMs: number;
}

/** The outcome of a step that waits to be approved. */
export type Held = StepOutcome & { kind: 'waiting' };

/**
 * Stands in front of side effects. An approval is of one attempt of one step, exactly as it was shown:
 *
 *     step ──needs it──▶ asked, turn parked (one commit) ──approved──▶ used up + intent (one commit) ──▶ runs
 *                                                       ──denied, expired──▶ the step fails
 *
 * Between its use and the run a crash costs the approval, never a second run: whoever takes the turn over asks again for
 * another attempt, if the step's effect class lets there be one.
 */
export class ApprovalGate {
  constructor(
    private readonly ports: GatePorts,
    private readonly policy: GatePolicy,
  ) {}

  /** Why the step may not run now: it waits to be approved. Undefined when it may. */
  async hold(turn: TurnRow, step: StepRow, action: Action): Promise<Held | undefined> {
    if (action.type === 'Confirm') return this.ask(turn, step, confirmation(turn, step, action));
    if (this.policy.tools.size === 0) return undefined;
    if (!toolIdsOf(action).some((tool) => this.policy.tools.has(tool))) return undefined;
    const { hash } = bindingOf(turn, step);
    const { store, approvals } = this.ports;
    const mayPass = await store.read(
      async (db) =>
        (await approvals.isConsumedFor(db, turn, { index: step.step_index, attempt: step.attempts, hash })) ||
        (await approvals.activeOverrides(db, turn.tenant_id)).some((standing) => covers(standing, turn, action)),
    );
    if (mayPass) return undefined;
    return this.ask(turn, step, {
      key: `${turn.turn_id}:${step.step_index}:${step.attempts}`,
      prompt: `Run ${summaryOf(action)}?`,
      motivation: `the policy asks before ${action.type} runs`,
    });
  }

  /** Whether an approval is still good for the step as it stands. */
  async isGood(turn: TurnRow, step: StepRow, approvalId: string): Promise<boolean> {
    const row = await this.ports.store.read((db) => this.ports.approvals.find(db, turn.tenant_id, approvalId));
    return row?.status === 'approved' && row.consumed_at === null && row.binding_hash === bindingOf(turn, step).hash;
  }

  /** Uses the approval up in the commit of the step's intent; without it there is no intent. */
  use(turn: TurnRow, step: StepRow, approvalId: string): Alongside {
    const { hash } = bindingOf(turn, step);
    const use = { tenantId: turn.tenant_id, approvalId, hash, attempt: step.attempts };
    return {
      writeIn: async (tx) => {
        if (!(await this.ports.approvals.consume(tx, use))) return false;
        const detail = {
          turn_id: turn.turn_id,
          step_index: step.step_index,
          attempt: step.attempts,
          binding_hash: hash,
        };
        void noteAudit(tx, [{ ...ofApproval(turn, approvalId), type: 'approval.consumed', detail }]);
        return true;
      },
    };
  }

  /** Its time is over, in the commit in which the step fails for that; not if somebody decided in the same moment. */
  expire(turn: TurnRow, approvalId: string): Alongside {
    return {
      writeIn: async (tx) => {
        const name = { tenant_id: turn.tenant_id, approval_id: approvalId };
        const row = await this.ports.approvals.settle(tx, name, { status: 'expired', review: null });
        if (!row) return false;
        await this.tell(tx, turn, [approvalUpdated(row)]);
        void noteAudit(tx, [{ ...ofApproval(turn, approvalId), type: 'approval.expired' }]);
        return true;
      },
    };
  }

  private ask(
    turn: TurnRow,
    step: StepRow,
    { key, prompt, motivation }: { key: string; prompt: string; motivation: string },
  ): Held {
    const approvalId = fingerprintUuid(['approval', turn.tenant_id, key]);
    const { shown, hash } = bindingOf(turn, step);
    const writeIn = async (tx: Tx): Promise<void> => {
      const approval = {
        approval_id: approvalId,
        tenant_id: turn.tenant_id,
        approval_key: key,
        kind: 'workflow_step',
        prompt,
        motivation,
        context: JSON.stringify(shown),
        conversation_key: turn.conversation_key,
        turn_id: turn.turn_id,
        step_index: step.step_index,
        binding_hash: hash,
      };
      const row = await this.ports.approvals.insert(tx, approval, this.policy.ttlMs);
      if (row) await this.tell(tx, turn, [approvalUpdated(row), blockedOnApproval(row)]);
    };
    const wait = { kind: 'approval', id: approvalId, timeoutMs: this.policy.ttlMs } as const;
    return { kind: 'waiting', wait: { ...wait, reason: 'approval', detail: prompt }, alongside: { writeIn } };
  }

  private async tell(tx: Tx, turn: TurnRow, drafts: readonly EventDraft[]): Promise<void> {
    const ref: ConversationRef = { tenantId: turn.tenant_id, conversationKey: turn.conversation_key };
    const first = await this.ports.turns.takeEventSeqs(tx, ref, drafts.length);
    const { newId, nowMs } = this.ports.stamps;
    await appendEvents(tx, placeEvents(ref, first, drafts, { newId, nowMs: nowMs() }));
  }
}

function ofApproval({ tenant_id: tenantId }: TurnRow, approvalId: string) {
  return { tenantId, actor: 'engine', subject: `approval:${approvalId}` };
}

/** The step itself is the question: asking again finds the answer, whichever attempt asks. */
function confirmation(
  turn: TurnRow,
  step: StepRow,
  action: Action,
): { key: string; prompt: string; motivation: string } {
  const { prompt } = action.args as { prompt: string };
  return { key: `${turn.turn_id}:${step.step_index}`, prompt, motivation: 'a step asks for confirmation' };
}

function covers(
  standing: { readonly tool_id: string; readonly pattern: string; readonly workspace_id: string | null },
  turn: TurnRow,
  action: Action,
): boolean {
  if (!toolIdsOf(action).includes(standing.tool_id)) return false;
  if (standing.workspace_id !== null && standing.workspace_id !== agentKeyOf(turn.conversation_key)) return false;
  return matchesPattern(standing.pattern, subjectOf(action));
}
