import { randomUUID } from 'node:crypto';
import type { Action, StepError } from '@tyrum/protocol';
import type { NewMessage, OpenTurn, StepRow, StepWrite, TurnPatch, TurnRow } from '@tyrum/statestore/turns';
import type { StepOutcome } from './step-executor';
import { messageFinal, toolLifecycle, turnBlocked, turnCancelled, turnEvent, type EventDraft } from './turn-events';
import { actionOf, withAction } from './parsed-rows';
import type { NextMove } from './turn-driver';

/** A turn's new state together with the events and messages that tell of it. */
export interface TurnChange {
  readonly patch?: TurnPatch;
  readonly events: readonly EventDraft[];
  readonly messages: readonly NewMessage[];
}

export type Wait = (StepOutcome & { kind: 'waiting' })['wait'];

/** An interrupted step: its outcome is not known and it must not simply run again. */
export const OUTCOME_UNKNOWN = 'outcome_unknown';

export function isSettled(step: StepRow): boolean {
  return step.status === 'succeeded' || step.status === 'failed' || step.status === 'cancelled';
}

/** The intent: what is about to run, committed before it does. */
export function intentOf(turn: TurnRow, move: NextMove & { kind: 'step' }): StepRow {
  const step: StepRow = {
    tenant_id: turn.tenant_id,
    turn_id: turn.turn_id,
    step_index: move.index,
    action: JSON.stringify(move.action),
    effect: move.effect,
    status: 'running',
    attempts: 1,
    result: null,
    error: null,
    started_at: 0,
    finished_at: null,
  };
  return withAction(step, move.action);
}

/** The next attempt of a step that has been tried before. */
export function nextAttempt(step: StepRow): StepRow {
  return { ...step, status: 'running', attempts: step.attempts + 1, error: null };
}

/** The step after `outcome`. Interrupted and retryable steps stay open (`paused`). */
export function settleStep(step: StepRow, outcome: StepOutcome): StepRow {
  switch (outcome.kind) {
    case 'succeeded':
      return { ...step, status: 'succeeded', result: JSON.stringify(outcome.result), error: null };
    case 'failed': {
      const result = outcome.result ? JSON.stringify(outcome.result) : null;
      return { ...step, status: 'failed', result, error: JSON.stringify(outcome.error) };
    }
    case 'waiting':
    case 'interrupted':
      return { ...step, status: 'paused' };
    case 'unknown': {
      const error: StepError = { code: OUTCOME_UNKNOWN, message: outcome.detail };
      return { ...step, status: 'paused', error: JSON.stringify(error) };
    }
  }
}

export function stepWrite(step: StepRow): StepWrite {
  const { turn_id, step_index, action, effect, status, attempts, result, error } = step;
  return { turn_id, step_index, action, effect, status, attempts, result, error };
}

/** `tool.lifecycle` for a step as it stands; a step that waits for its next attempt is `retrying`. */
export function stepEvent(
  turn: TurnRow,
  step: StepRow,
  known: { readonly action?: Action; readonly durationMs?: number; readonly status?: 'waiting' | undefined } = {},
): EventDraft {
  const { action = actionOf(step), durationMs, status } = known;
  const error = step.error ? (JSON.parse(step.error) as StepError) : undefined;
  return toolLifecycle({
    conversationKey: turn.conversation_key,
    turnId: turn.turn_id,
    stepIndex: step.step_index,
    tool: action.type,
    status: status ?? lifecycleStatus(step, error),
    summary: summaryOf(action),
    durationMs,
    error: error?.message,
  });
}

function lifecycleStatus(step: StepRow, error: StepError | undefined) {
  if (step.status === 'paused') return error?.code === OUTCOME_UNKNOWN ? 'unknown' : 'retrying';
  return step.status === 'queued' ? 'retrying' : step.status;
}

const SUMMARY_LENGTH = 200;

/** One line that says what a step does, without its payload. */
export function summaryOf(action: Action): string {
  const args = action.args as Record<string, unknown>;
  const words = [args['cmd'], args['op'], args['method'], args['path'], args['url'], args['capability']]
    .concat(Array.isArray(args['args']) ? args['args'] : [])
    .filter((word) => typeof word === 'string');
  const line = [action.type, ...words].join(' ');
  return line.length > SUMMARY_LENGTH ? `${line.slice(0, SUMMARY_LENGTH - 1)}…` : line;
}

export function startTurn(turn: TurnRow): TurnChange {
  return { patch: running(turn, turn.attempt), events: [turnEvent('turn.started', turn.turn_id)], messages: [] };
}

/**
 * Goes on with a turn that waited, or that its last worker left behind; the latter counts as another attempt, as does every
 * worker that lost it without a commit (`atLeast`).
 */
export function resumeTurn(turn: TurnRow, atLeast: number): TurnChange {
  const attempt = Math.max(turn.status === 'running' ? turn.attempt + 1 : turn.attempt, atLeast);
  return { patch: running(turn, attempt), events: [turnEvent('turn.resumed', turn.turn_id)], messages: [] };
}

function running(turn: TurnRow, attempt: number): TurnPatch {
  return { turnId: turn.turn_id, turnSeq: turn.turn_seq, status: 'running', attempt };
}

export function finishTurn(turn: TurnRow, move: NextMove & { kind: 'finish' }): TurnChange {
  const patch = { turnId: turn.turn_id, turnSeq: turn.turn_seq, attempt: turn.attempt, status: move.status };
  if (move.status === 'failed') {
    return {
      patch: { ...patch, error: JSON.stringify(move.error) },
      events: [turnEvent('turn.failed', turn.turn_id)],
      messages: [],
    };
  }
  const done = turnEvent('turn.completed', turn.turn_id);
  if (move.reply === undefined) return { patch, events: [done], messages: [] };
  const message = assistantMessage(turn, move.reply);
  const final = messageFinal({
    conversationKey: turn.conversation_key,
    messageId: message.message_id,
    role: 'assistant',
    content: move.reply,
    turnId: turn.turn_id,
  });
  return { patch, events: [final, done], messages: [message] };
}

/** The reply's message id is the turn's own: a turn writes one reply, however often it is tried. */
function assistantMessage(turn: TurnRow, text: string): NewMessage {
  return {
    tenant_id: turn.tenant_id,
    conversation_key: turn.conversation_key,
    message_id: turn.turn_id,
    turn_id: turn.turn_id,
    role: 'assistant',
    parts: JSON.stringify([{ type: 'text', text }]),
    metadata: null,
  };
}

export function cancelTurn(turn: TurnRow, reason: string | null): TurnChange {
  const patch: TurnPatch = {
    turnId: turn.turn_id,
    turnSeq: turn.turn_seq,
    attempt: turn.attempt,
    status: 'cancelled',
    ...(reason ? { cancelReason: reason } : {}),
  };
  return { patch, events: [turnCancelled(turn.turn_id, reason)], messages: [] };
}

/** Waits `waitMs` and goes on; holds neither worker nor lease meanwhile. */
export function delayTurn(turn: TurnRow, waitMs: number): TurnChange {
  const patch = {
    turnId: turn.turn_id,
    turnSeq: turn.turn_seq,
    attempt: turn.attempt,
    status: 'paused',
    waitKind: 'timer',
    waitMs,
  } as const;
  return { patch, events: [], messages: [] };
}

/** Waits for an arrival, and no longer than `timeoutMs` if that is given. */
export function waitTurn(turn: TurnRow, wait: Wait): TurnChange {
  const patch: TurnPatch = {
    turnId: turn.turn_id,
    turnSeq: turn.turn_seq,
    attempt: turn.attempt,
    status: 'paused',
    waitKind: wait.kind,
    waitId: wait.id,
    ...(wait.timeoutMs === undefined ? {} : { waitMs: wait.timeoutMs }),
    ...(wait.reason === undefined ? {} : { blockedReason: wait.reason }),
    ...(wait.detail === undefined ? {} : { blockedDetail: wait.detail }),
  };
  return { patch, events: [], messages: [] };
}

/** Waits for an operator: the step may or may not have had its effect, and only a person can find out. */
export function parkTurn(turn: TurnRow, step: StepRow, detail: string): TurnChange {
  const action = actionOf(step);
  const blockedDetail = `step ${step.step_index} (${summaryOf(action)}): outcome unknown: ${detail}`;
  const patch = {
    turnId: turn.turn_id,
    turnSeq: turn.turn_seq,
    attempt: turn.attempt,
    status: 'paused',
    waitKind: 'manual',
    waitId: randomUUID(),
    blockedReason: 'manual',
    blockedDetail,
  } as const;
  return { patch, events: [turnBlocked(turn.turn_id, 'manual', blockedDetail)], messages: [] };
}

/** Waits for an operator: it has spent what it may. */
export function blockOnBudget(turn: TurnRow, detail: string): TurnChange {
  const patch = {
    turnId: turn.turn_id,
    turnSeq: turn.turn_seq,
    attempt: turn.attempt,
    status: 'paused',
    waitKind: 'manual',
    waitId: randomUUID(),
    blockedReason: 'budget',
    blockedDetail: detail,
  } as const;
  return { patch, events: [turnBlocked(turn.turn_id, 'budget', detail)], messages: [] };
}

/** A turn as it stands in memory after its change is committed. */
export function patched(open: OpenTurn, change: TurnChange, steps: readonly StepRow[]): OpenTurn {
  if (!change.patch) return { turn: open.turn, steps };
  return { turn: { ...open.turn, status: change.patch.status, attempt: change.patch.attempt }, steps };
}
