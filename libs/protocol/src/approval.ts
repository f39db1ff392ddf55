import type { JsonValue } from './json';
import type { Page } from './page';

export const APPROVAL_STATUSES = [
  'queued',
  'reviewing',
  'awaiting_human',
  'approved',
  'denied',
  'expired',
  'cancelled',
] as const;
export type ApprovalStatus = (typeof APPROVAL_STATUSES)[number];

/** The kinds we create; the wire leaves the set open. */
export const APPROVAL_KINDS = ['workflow_step', 'intent', 'retry', 'policy', 'budget', 'takeover'] as const;
// `string & {}` keeps the known names in an editor's completion, which plain `string` would swallow.
export type ApprovalKind = (typeof APPROVAL_KINDS)[number] | (string & {});

/** One look at an approval or a pairing, by a person or a reviewer of ours. */
export interface Review {
  review_id: string;
  reviewer_kind: 'human' | 'policy' | 'system';
  state: string;
  reason?: string;
  created_at: string;
}

/** A durable gate in front of a side effect. */
export interface Approval {
  approval_id: string;
  /** The same for every request of the same gate: asking twice makes one approval. */
  approval_key: string;
  kind: ApprovalKind;
  status: ApprovalStatus;
  prompt: string;
  motivation: string;
  /** What exactly is approved: tool, canonical arguments, workspace. */
  context?: JsonValue;
  scope?: { conversation_key?: string; turn_id?: string; workflow_run_step_id?: string };
  created_at: string;
  expires_at?: string;
  latest_review: Review | null;
}

export const APPROVAL_DECISIONS = ['approved', 'denied'] as const;
export type ApprovalDecision = (typeof APPROVAL_DECISIONS)[number];

/** A standing answer to later approvals of the same tool: what "always" creates. */
export interface PolicyOverride {
  policy_override_id: string;
  status: 'active' | 'revoked' | 'expired';
  tool_id: string;
  pattern: string;
  workspace_id?: string;
  created_at: string;
  expires_at?: string;
  revoked_at?: string;
}

export interface ApprovalShown {
  approval: Approval;
}

export interface OverrideList extends Page {
  overrides: PolicyOverride[];
}

export interface OverrideRevoked {
  override: PolicyOverride;
}
