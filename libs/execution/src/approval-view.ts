import {
  agentKeyOf,
  payloadFingerprint,
  type Action,
  type Approval,
  type JsonValue,
  type PolicyOverride,
  type Review,
} from '@tyrum/protocol';
import type { ApprovalRow, OverrideRow, StepRow, TurnRow } from '@tyrum/statestore/turns';
import { isoTime } from './conversation-view';
import type { EventDraft } from './turn-events';

/** What a person is shown, and what an approval is good for: nothing else and nobody else's. */
export interface Binding {
  readonly shown: { readonly [field: string]: JsonValue };
  readonly hash: string;
}

/** The whole action, the workspace, the turn and the step. One byte of difference is another hash. */
export function bindingOf(turn: TurnRow, step: Pick<StepRow, 'step_index' | 'action'>): Binding {
  const action = JSON.parse(step.action) as Action;
  const shown = {
    tool_id: action.type,
    action: action as unknown as JsonValue,
    workspace_id: agentKeyOf(turn.conversation_key),
    turn_id: turn.turn_id,
    step_index: step.step_index,
  };
  return { shown, hash: payloadFingerprint({ tenant_id: turn.tenant_id, ...shown }) };
}

/** An approval in its wire shape. */
export function toApproval(row: ApprovalRow): Approval {
  return {
    approval_id: row.approval_id,
    approval_key: row.approval_key,
    kind: row.kind,
    status: row.status,
    prompt: row.prompt,
    motivation: row.motivation,
    ...(row.context === null ? {} : { context: JSON.parse(row.context) as JsonValue }),
    scope: {
      conversation_key: row.conversation_key,
      turn_id: row.turn_id,
      workflow_run_step_id: `${row.turn_id}:${row.step_index}`,
    },
    created_at: isoTime(row.created_at),
    ...(row.expires_at === null ? {} : { expires_at: isoTime(row.expires_at) }),
    latest_review: row.latest_review === null ? null : (JSON.parse(row.latest_review) as Review),
  };
}

export function toOverride(row: OverrideRow): PolicyOverride {
  return {
    policy_override_id: row.policy_override_id,
    status: row.status,
    tool_id: row.tool_id,
    pattern: row.pattern,
    ...(row.workspace_id === null ? {} : { workspace_id: row.workspace_id }),
    created_at: isoTime(row.created_at),
    ...(row.expires_at === null ? {} : { expires_at: isoTime(row.expires_at) }),
    ...(row.revoked_at === null ? {} : { revoked_at: isoTime(row.revoked_at) }),
  };
}

/** `approval.updated`. */
export function approvalUpdated(row: ApprovalRow): EventDraft {
  return {
    type: 'approval.updated',
    turnId: row.turn_id,
    scope: { kind: 'conversation', id: row.conversation_key },
    payload: { approval: toApproval(row) },
  };
}

/** `turn.blocked` for an approval. */
export function blockedOnApproval(row: ApprovalRow): EventDraft {
  return {
    type: 'turn.blocked',
    turnId: row.turn_id,
    scope: { kind: 'turn', id: row.turn_id },
    payload: { turn_id: row.turn_id, reason: 'approval', approval_id: row.approval_id, detail: row.prompt },
  };
}
