import { appendEvents } from '@tyrum/outbox';
import {
  agentKeyOf,
  WireError,
  type Action,
  type Approval,
  type ApprovalDecision,
  type PolicyOverride,
} from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import type { ApprovalFilter, ApprovalRow, ApprovalStore, TurnStore } from '@tyrum/statestore/turns';
import { approvalUpdated, toApproval, toOverride } from './approval-view';
import { exactPattern } from './tool-pattern';
import { placeEvents, type EventDraft } from './turn-events';
import { arriveIn } from './waits';

export interface ApprovalVerdict {
  readonly decision: ApprovalDecision;
  readonly reason?: string;
  /** `always`: what is approved now is approved from now on, under the overrides given or, without any, exactly. */
  readonly mode?: 'once' | 'always';
  readonly overrides?: readonly {
    readonly tool_id: string;
    readonly pattern: string;
    readonly workspace_id?: string;
  }[];
  /** Whose decision it is: a token's or a device's id. */
  readonly by: string;
}

export interface Resolved {
  readonly approval: Approval;
  readonly created_overrides?: PolicyOverride[];
}

export interface ApprovalPorts {
  readonly store: StateStore;
  readonly turns: TurnStore;
  readonly approvals: ApprovalStore;
  readonly stamps: { readonly newId: () => string; readonly nowMs: () => number };
}

/** What people are asked, and what they answer. */
export class Approvals {
  constructor(private readonly ports: ApprovalPorts) {}

  async list(tenantId: string, filter: ApprovalFilter): Promise<{ approvals: Approval[]; last?: ApprovalRow }> {
    const { store, approvals } = this.ports;
    const rows = await store.read((db) => approvals.list(db, tenantId, { ...filter, limit: filter.limit + 1 }));
    const page = rows.slice(0, filter.limit);
    const last = rows.length > filter.limit ? page.at(-1) : undefined;
    return { approvals: page.map(toApproval), ...(last ? { last } : {}) };
  }

  /** An approval in its wire shape; undefined when the tenant has none of that id. */
  async show(tenantId: string, approvalId: string): Promise<Approval | undefined> {
    const row = await this.find(tenantId, approvalId);
    return row && toApproval(row);
  }

  /** An approval as it lies there; undefined when the tenant has none of that id. */
  find(tenantId: string, approvalId: string): Promise<ApprovalRow | undefined> {
    return this.ports.store.read((db) => this.ports.approvals.find(db, tenantId, approvalId));
  }

  /**
   * Decides, inside the caller's transaction, which has locked the approval's conversation; the turn goes on with the commit.
   * The same decision again changes nothing.
   * @throws {WireError} not_found; conflict when it was decided otherwise, has expired, or its turn waits no more
   */
  async resolveIn(tx: Tx, tenantId: string, approvalId: string, verdict: ApprovalVerdict): Promise<Resolved> {
    const { approvals, turns } = this.ports;
    const row = await approvals.hold(tx, tenantId, approvalId);
    if (!row) throw new WireError('not_found', 'there is no such approval');
    if (row.status === verdict.decision) return { approval: toApproval(row) };
    if (row.status !== 'awaiting_human') throw new WireError('conflict', `the approval is ${row.status}`);
    if (row.is_late) throw new WireError('conflict', 'the approval has expired');
    const action = actionShown(row);
    const isConfirm = action?.type === 'Confirm';
    if (isConfirm && verdict.mode === 'always') {
      throw new WireError('invalid_request', 'a confirmation is given once: there is nothing it could stand for');
    }
    const review = this.review(verdict);
    const consumed = isConfirm && verdict.decision === 'approved';
    const settled = await approvals.settle(tx, row, { status: verdict.decision, review, consumed });
    if (!settled) throw new Error('an approval under our lock stays');
    const created = verdict.decision === 'approved' ? await this.override(tx, row, action, verdict) : [];
    const events = created.map((override) => ({
      type: 'policy_override.created',
      scope: { kind: 'global' } as const,
      payload: { override },
    }));
    await this.tell(tx, row, [approvalUpdated(settled), ...events]);
    const arrival = {
      tenantId,
      kind: 'approval',
      id: approvalId,
      outcome: outcomeOf(row, verdict, isConfirm),
    } as const;
    await arriveIn(tx, turns, arrival, [{ tenantId, conversationKey: row.conversation_key }]);
    return { approval: toApproval(settled), ...(created.length > 0 ? { created_overrides: created } : {}) };
  }

  /** Newest first; `after` is the last one of the page before. */
  async overrides(
    tenantId: string,
    page: { readonly limit: number; readonly after?: { readonly at: number; readonly id: string } },
  ): Promise<PolicyOverride[]> {
    const rows = await this.ports.store.read((db) => this.ports.approvals.listOverrides(db, tenantId, page));
    return rows.map(toOverride);
  }

  /** Ends a standing answer. @throws {WireError} not_found */
  async revokeOverride(tenantId: string, overrideId: string): Promise<PolicyOverride> {
    return this.ports.store.transaction(async (tx) => {
      const row = await this.ports.approvals.revokeOverride(tx, tenantId, overrideId);
      if (!row) throw new WireError('not_found', 'there is no such override');
      const { newId, nowMs } = this.ports.stamps;
      const override = toOverride(row);
      const event = { eventId: newId(), tenantId, type: 'policy_override.revoked', occurredAt: nowMs() };
      await appendEvents(tx, [{ ...event, scope: { kind: 'global' }, payload: { override } }]);
      return override;
    });
  }

  private async override(
    tx: Tx,
    row: ApprovalRow,
    action: Action | undefined,
    { mode, overrides, by }: ApprovalVerdict,
  ): Promise<PolicyOverride[]> {
    if (mode !== 'always' || !action) return [];
    const exact = {
      tool_id: action.type,
      pattern: exactPattern(action),
      workspace_id: agentKeyOf(row.conversation_key),
    };
    const wanted = overrides && overrides.length > 0 ? overrides : [exact];
    const created: PolicyOverride[] = [];
    for (const { tool_id, pattern, workspace_id = null } of wanted) {
      const name = { policy_override_id: this.ports.stamps.newId(), tenant_id: row.tenant_id, created_by: by };
      created.push(
        toOverride(await this.ports.approvals.insertOverride(tx, { ...name, tool_id, pattern, workspace_id })),
      );
    }
    return created;
  }

  private async tell(tx: Tx, row: ApprovalRow, drafts: readonly EventDraft[]): Promise<void> {
    const ref: ConversationRef = { tenantId: row.tenant_id, conversationKey: row.conversation_key };
    const first = await this.ports.turns.takeEventSeqs(tx, ref, drafts.length);
    const { newId, nowMs } = this.ports.stamps;
    await appendEvents(tx, placeEvents(ref, first, drafts, { newId, nowMs: nowMs() }));
  }

  private review({ decision, reason }: ApprovalVerdict): object {
    return {
      review_id: this.ports.stamps.newId(),
      reviewer_kind: 'human',
      state: decision,
      ...(reason === undefined ? {} : { reason }),
      created_at: new Date(this.ports.stamps.nowMs()).toISOString(),
    };
  }
}

function actionShown({ context }: ApprovalRow): Action | undefined {
  return context === null ? undefined : (JSON.parse(context) as { action?: Action }).action;
}

function outcomeOf(row: ApprovalRow, { decision, reason }: ApprovalVerdict, isConfirm: boolean) {
  if (decision === 'denied') {
    const error = { code: 'approval_denied', message: reason ?? 'an operator said no' };
    return { kind: 'failed', error, retryable: false } as const;
  }
  if (!isConfirm) return { kind: 'approved' } as const;
  return { kind: 'succeeded', result: { approved: true, approval_id: row.approval_id } } as const;
}
