import type { Backplane } from '@tyrum/backplane';
import { noteAudit } from '@tyrum/evidence';
import type { Approvals, ApprovalVerdict, Resolved, TurnControl, Waits } from '@tyrum/execution';
import {
  isUuid,
  WireError,
  type Approval,
  type ApprovalListPayload,
  type ApprovalListResult,
  type ApprovalResolvePayload,
  type ApprovalStatus,
  type OverrideList,
  type PageQuery,
  type PolicyOverride,
} from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { TurnStore } from '@tyrum/statestore/turns';
import { notFound } from '../failures';
import { BY_TIME, readPage } from './list-cursor';
import type { Answered, Once, RequestKey } from './once';

export interface GatePorts {
  readonly store: StateStore;
  readonly turns: TurnStore;
  readonly approvals: Approvals;
  readonly waits: Waits;
  readonly control: TurnControl;
  readonly backplane: Backplane;
  readonly once: Once;
}

/** What people are asked before something happens; for the WebSocket and for HTTP alike. */
export class Gates {
  constructor(private readonly ports: GatePorts) {}

  /** @throws {ContractError} for a cursor that is none of ours */
  async list(tenantId: string, payload: ApprovalListPayload, field: string): Promise<ApprovalListResult> {
    const { status, kind, conversation_key, turn_id, limit, cursor } = payload;
    const { approvals, last } = await this.ports.approvals.list(tenantId, {
      limit,
      ...(status === undefined ? {} : { statuses: [status satisfies ApprovalStatus] }),
      ...(kind === undefined ? {} : { kinds: kind }),
      ...(conversation_key === undefined ? {} : { conversationKey: conversation_key }),
      ...(turn_id === undefined ? {} : { turnId: turn_id }),
      ...(cursor === undefined ? {} : { after: placeOf(cursor, `${field}.cursor`) }),
    });
    return {
      approvals,
      ...(last ? { next_cursor: BY_TIME.encode({ at: last.created_at, id: last.approval_id }) } : {}),
    };
  }

  /** @throws {WireError} not_found */
  async get(tenantId: string, approvalId: string): Promise<Approval> {
    const found = await this.ports.approvals.show(tenantId, approvalId);
    if (!found) throw notFound('approval');
    return found;
  }

  /** Decides; the turn that waits goes on. @throws {WireError} not_found, conflict @throws {KeyReusedError} */
  async resolve(key: RequestKey, payload: ApprovalResolvePayload): Promise<Answered<Resolved>> {
    const done = await this.ports.once.orReplayed(key, () => this.decide(key, payload));
    this.ports.control.wake();
    return done;
  }

  private async decide(key: RequestKey, payload: ApprovalResolvePayload): Promise<Answered<Resolved>> {
    const { approvals, once } = this.ports;
    const { approval_id, decision, reason, mode, overrides } = payload;
    const found = await approvals.find(key.tenantId, approval_id);
    if (!found) throw notFound('approval');
    const verdict: ApprovalVerdict = {
      decision,
      by: key.principal,
      ...(reason === undefined ? {} : { reason }),
      ...(mode === undefined ? {} : { mode }),
      ...(overrides === undefined ? {} : { overrides: overrides.map((one) => ({ ...one })) }),
    };
    const conversations = [{ tenantId: key.tenantId, conversationKey: found.conversation_key }];
    return once.run({ ...key, conversations }, async (tx) => {
      const resolved = await approvals.resolveIn(tx, key.tenantId, approval_id, verdict);
      const { turn_id, step_index, binding_hash } = found;
      const granted = (resolved.created_overrides ?? []).map((override) => override.policy_override_id);
      const detail = { decision, turn_id, step_index, binding_hash, overrides: granted };
      const { tenantId, actor } = key;
      if (found.status === decision) return resolved;
      await noteAudit(tx, [{ tenantId, type: 'approval.resolved', actor, subject: `approval:${approval_id}`, detail }]);
      return resolved;
    });
  }

  /**
   * `workflow.resume`: `token` is what a paused turn waits for (`waiting.id`). A signal arrives by that; an approval has to be given
   * first, and the turn then goes on by itself, so that asking for it is only to be told so.
   * @throws {WireError} not_found; conflict while the approval is not given
   */
  async resume(tenantId: string, token: string): Promise<{ workflow_run_id: string }> {
    if (isUuid(token)) {
      const approval = await this.ports.approvals.find(tenantId, token);
      if (approval?.status === 'approved') return { workflow_run_id: approval.turn_id };
      if (approval) throw new WireError('conflict', `its approval is ${approval.status}`);
    }
    const wait = { tenantId, kind: 'signal', id: token } as const;
    const found = await this.ports.store.read((db) => this.ports.turns.findWait(db, wait));
    if (!found?.turn_id) throw notFound('waiting workflow');
    await this.ports.waits.arrive({ ...wait, outcome: { kind: 'succeeded', result: {} } });
    return { workflow_run_id: found.turn_id };
  }

  /** Newest first. @throws {ContractError} for a cursor that is none of ours */
  async overrides(tenantId: string, query: PageQuery): Promise<OverrideList> {
    const { rows, next } = await readPage(query, BY_TIME, {
      read: (page) => this.ports.approvals.overrides(tenantId, page),
      placeOf: ({ created_at, policy_override_id }) => ({ at: Date.parse(created_at), id: policy_override_id }),
    });
    return { overrides: rows, ...next };
  }

  async revokeOverride(tenantId: string, overrideId: string, actor: string): Promise<PolicyOverride> {
    const override = await this.ports.store.transaction(async (tx) => {
      const revoked = await this.ports.approvals.revokeOverride(tenantId, overrideId);
      const detail = { tool_id: revoked.tool_id };
      await noteAudit(tx, [{ tenantId, type: 'override.revoked', actor, subject: `override:${overrideId}`, detail }]);
      return revoked;
    });
    this.ports.backplane.publish('outbox');
    return override;
  }
}

function placeOf(cursor: string, field: string): { createdAt: number; approvalId: string } {
  const { at, id } = BY_TIME.decode(cursor, field);
  return { createdAt: at, approvalId: id };
}
