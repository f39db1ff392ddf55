import type { Action } from './actions';
import type { ArtifactRef } from './artifact';
import type { JsonValue } from './json';

export const TURN_STATUSES = ['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'] as const;
export type TurnStatus = (typeof TURN_STATUSES)[number];

/** The statuses a turn never leaves. */
export const TERMINAL_TURN_STATUSES = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly TurnStatus[];

/** Whether a turn with that status is over. */
export function isTerminal(status: TurnStatus): boolean {
  return (TERMINAL_TURN_STATUSES as readonly TurnStatus[]).includes(status);
}

/**
 * A step's status. `paused` covers both waiting and an outcome nobody knows: the latter is told apart by the turn's
 * waiting kind `manual` and by `outcome: "unknown"` on the step.
 */
export type StepStatus = TurnStatus;

/** Why a turn stands still. */
export const BLOCKED_REASONS = ['approval', 'takeover', 'budget', 'manual', 'policy'] as const;
export type BlockedReason = (typeof BLOCKED_REASONS)[number];

/** What a paused turn waits for. */
export const WAIT_KINDS = ['timer', 'manual', 'approval', 'node', 'turn', 'signal'] as const;
export type WaitKind = (typeof WAIT_KINDS)[number];

/**
 * What may be done with a step whose attempt was cut off between intent and result: `read` and `idempotent` run again
 * (the latter with the same key); `once` is never silently repeated.
 */
export const EFFECT_CLASSES = ['read', 'idempotent', 'once'] as const;
export type EffectClass = (typeof EFFECT_CLASSES)[number];

/** What a turn may spend; an absent field is no limit. */
export interface TurnBudgets {
  /** Millionths of a US dollar. */
  max_usd_micros?: number;
  max_duration_ms?: number;
  max_total_tokens?: number;
}

/** A turn as clients see it. Times are ISO-8601 UTC. */
export interface Turn {
  turn_id: string;
  /** The durable job behind the turn; the same id for every attempt. */
  job_id: string;
  conversation_key: string;
  status: TurnStatus;
  /** 1 for the first; grows with every takeover. */
  attempt: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  blocked_reason?: BlockedReason;
  blocked_detail?: string;
  budgets?: TurnBudgets;
}

/** One row of `turn.list`. */
export interface TurnListItem {
  turn: Turn;
  agent_key?: string;
  conversation_key?: string;
  trigger_kind?: string;
  /** Only in a list of dead turns. */
  dead?: DeadLetter;
}

/** Why a turn was given up: its last error, and which workers lost it to whom, newest first. */
export interface DeadLetter {
  died_at: string;
  last_error: StepError | null;
  takeovers: { owner: string; taken_from: string; at: string }[];
  /** The turn that goes on with its work. */
  redriven_as?: string;
}

/** What a step produced. Open: each tool adds fields of its own. */
export interface StepResult {
  output?: JsonValue;
  exit_code?: number | null;
  /** The output was longer than `LIMITS.stepOutputBytes` and is cut. */
  truncated?: boolean;
  [field: string]: JsonValue | undefined;
}

/** Why a step failed. `code` is stable, lower snake case. */
export interface StepError {
  code: string;
  message: string;
  details?: JsonValue;
}

/** A step as `GET /v1/turns/:id` shows it. */
export interface Step {
  step_index: number;
  action: Action;
  status: StepStatus;
  /** Executions so far, the running one included. */
  attempts: number;
  effect: EffectClass;
  /** Present while an attempt may have had its effect and nobody can tell. */
  outcome?: 'unknown';
  result?: StepResult;
  error?: StepError;
  artifacts: ArtifactRef[];
  started_at: string | null;
  finished_at: string | null;
}

/** What a paused turn waits for, since when. */
export interface Waiting {
  kind: WaitKind;
  id: string;
  since: string;
  detail: string | null;
}

/** The answer of `GET /v1/turns/:id`. */
export interface TurnDetail {
  turn: Turn;
  steps: Step[];
  waiting?: Waiting;
}

/** A piece of a turn's visible history (`turn.item.created`). */
export interface TurnItem {
  turn_item_id: string;
  turn_id: string;
  item_index: number;
  kind: 'message' | 'tool_call' | 'step' | 'note';
  payload: JsonValue;
  created_at: string;
}
