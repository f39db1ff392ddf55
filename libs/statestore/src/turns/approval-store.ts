import type { Reader, StateStore, Tx } from '../state-store';
import {
  activeOverrides,
  consumeApproval,
  findApproval,
  findConsumed,
  holdApproval,
  insertApproval,
  insertOverride,
  listApprovals,
  listOverrides,
  pruneApprovals,
  revokeOverride,
  settleApproval,
  voidApprovals,
} from './sql/approvals';
import type { TurnRow } from './turn-rows';

export type ApprovalRowStatus =
  'queued' | 'reviewing' | 'awaiting_human' | 'approved' | 'denied' | 'expired' | 'cancelled';

export interface ApprovalRow {
  readonly approval_id: string;
  readonly tenant_id: string;
  readonly approval_key: string;
  readonly kind: string;
  readonly status: ApprovalRowStatus;
  readonly prompt: string;
  readonly motivation: string;
  /** JSON. */
  readonly context: string | null;
  readonly conversation_key: string;
  readonly turn_id: string;
  readonly step_index: number;
  /** Of exactly what was shown. */
  readonly binding_hash: string;
  /** JSON. */
  readonly latest_review: string | null;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly decided_at: number | null;
  readonly consumed_at: number | null;
  readonly consumed_attempt: number | null;
  /** By the database's clock, when it was read. */
  readonly is_late?: boolean | number | null;
}

export type NewApproval = Pick<
  ApprovalRow,
  | 'approval_id'
  | 'tenant_id'
  | 'approval_key'
  | 'kind'
  | 'prompt'
  | 'motivation'
  | 'context'
  | 'conversation_key'
  | 'turn_id'
  | 'step_index'
  | 'binding_hash'
>;

export interface OverrideRow {
  readonly policy_override_id: string;
  readonly tenant_id: string;
  readonly tool_id: string;
  readonly pattern: string;
  readonly workspace_id: string | null;
  readonly status: 'active' | 'revoked' | 'expired';
  readonly created_by: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

export interface ApprovalFilter {
  readonly statuses?: readonly string[];
  readonly kinds?: readonly string[];
  readonly conversationKey?: string;
  readonly turnId?: string;
  readonly after?: { readonly createdAt: number; readonly approvalId: string };
  readonly limit: number;
}

/** Standing answers of a tenant that are looked at for one step. */
const MAX_OVERRIDES = 1_000;

/** The gates in front of side effects, in the database. */
export class ApprovalStore {
  /** Asks; undefined when it was asked before under this key. */
  async insert(tx: Tx, approval: NewApproval, ttlMs: number): Promise<ApprovalRow | undefined> {
    const { approval_id, tenant_id, approval_key, kind, prompt, motivation, context } = approval;
    const { conversation_key, turn_id, step_index, binding_hash } = approval;
    const what = [approval_id, tenant_id, approval_key, kind, prompt, motivation, context];
    const where = [conversation_key, turn_id, step_index, binding_hash, ttlMs];
    return (await tx.query<ApprovalRow>(insertApproval, [...what, ...where]))[0];
  }

  async find(db: Reader, tenantId: string, approvalId: string): Promise<ApprovalRow | undefined> {
    return (await db.query<ApprovalRow>(findApproval, [tenantId, approvalId]))[0];
  }

  /** The same, locked until the transaction ends. */
  async hold(tx: Tx, tenantId: string, approvalId: string): Promise<ApprovalRow | undefined> {
    return (await tx.query<ApprovalRow>(holdApproval, [tenantId, approvalId]))[0];
  }

  list(db: Reader, tenantId: string, filter: ApprovalFilter): Promise<ApprovalRow[]> {
    const { statuses, kinds, conversationKey, turnId, after, limit } = filter;
    return db.query<ApprovalRow>(listApprovals, [
      tenantId,
      statuses ? JSON.stringify(statuses) : null,
      kinds ? JSON.stringify(kinds) : null,
      conversationKey ?? null,
      turnId ?? null,
      after?.createdAt ?? null,
      after?.approvalId ?? null,
      limit,
    ]);
  }

  /** Whether an approval was used up for this attempt of the step, as it stands. */
  async isConsumedFor(
    db: Reader,
    turn: TurnRow,
    step: { index: number; attempt: number; hash: string },
  ): Promise<boolean> {
    const params = [turn.tenant_id, turn.turn_id, step.index, step.attempt, step.hash];
    return (await db.query(findConsumed, params)).length > 0;
  }

  /** Uses an approval up, once. False: it was used, is of something else, or is none. */
  async consume(
    tx: Tx,
    use: { tenantId: string; approvalId: string; hash: string; attempt: number },
  ): Promise<boolean> {
    return (await tx.query(consumeApproval, [use.tenantId, use.approvalId, use.hash, use.attempt])).length > 0;
  }

  /** Settles what waits; undefined when it does not wait any more. */
  async settle(
    tx: Tx,
    { tenant_id, approval_id }: Pick<ApprovalRow, 'tenant_id' | 'approval_id'>,
    to: { status: ApprovalRowStatus; review: object | null; consumed?: boolean },
  ): Promise<ApprovalRow | undefined> {
    const review = to.review && JSON.stringify(to.review);
    const params = [tenant_id, approval_id, to.status, review, to.consumed ?? false];
    return (await tx.query<ApprovalRow>(settleApproval, params))[0];
  }

  /** Voids what a turn still waits for. */
  voidAll(tx: Tx, turn: Pick<TurnRow, 'tenant_id' | 'turn_id'>): Promise<ApprovalRow[]> {
    return tx.query<ApprovalRow>(voidApprovals, [turn.tenant_id, turn.turn_id, 'cancelled']);
  }

  async insertOverride(
    tx: Tx,
    {
      policy_override_id,
      tenant_id,
      tool_id,
      pattern,
      workspace_id,
      created_by,
    }: Omit<OverrideRow, 'status' | 'created_at' | 'expires_at' | 'revoked_at'>,
  ): Promise<OverrideRow> {
    const params = [policy_override_id, tenant_id, tool_id, pattern, workspace_id, created_by];
    const [row] = await tx.query<OverrideRow>(insertOverride, params);
    if (!row) throw new Error('what was just written comes back');
    return row;
  }

  /** Newest first; `after` is the last one of the page before. */
  listOverrides(
    db: Reader,
    tenantId: string,
    { limit, after }: { readonly limit: number; readonly after?: { readonly at: number; readonly id: string } },
  ): Promise<OverrideRow[]> {
    return db.query<OverrideRow>(listOverrides, [tenantId, after?.at ?? null, after?.id ?? null, limit]);
  }

  activeOverrides(db: Reader, tenantId: string): Promise<OverrideRow[]> {
    return db.query<OverrideRow>(activeOverrides, [tenantId, MAX_OVERRIDES]);
  }

  async revokeOverride(tx: Tx, tenantId: string, overrideId: string): Promise<OverrideRow | undefined> {
    return (await tx.query<OverrideRow>(revokeOverride, [tenantId, overrideId]))[0];
  }

  /** Forgets up to `limit` that were settled `olderThanMs` ago. */
  async prune(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
    return (await store.execute(pruneApprovals, [olderThanMs, limit])).length;
  }
}
