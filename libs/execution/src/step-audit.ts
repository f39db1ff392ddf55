import { createHash } from 'node:crypto';
import type { AuditNote } from '@tyrum/evidence';
import { payloadFingerprint, type Action, type StepError } from '@tyrum/protocol';
import type { ConversationRef } from '@tyrum/statestore';
import type { StepWrite } from '@tyrum/statestore/turns';
import { OUTCOME_UNKNOWN } from './turn-progress';

/**
 * What the audit keeps of side effects: that a `once` step was about to run, with a hash of what it was given, and what came of
 * it, with a hash of its result. Steps of the other classes leave nothing there: they may run again, so they cost nothing here.
 */
export function sideEffects(
  { tenantId }: ConversationRef,
  token: number | null,
  steps: readonly StepWrite[],
): AuditNote[] {
  return steps.flatMap((step) => {
    const said = step.effect === 'once' ? whatHappened(step) : undefined;
    if (!said) return [];
    const detail = { step_index: step.step_index, attempt: step.attempts, ...said.detail };
    // By an operator's hand where there is no lease: whose it was stands in the entry of that act.
    const actor = token === null ? 'operator' : 'engine';
    return [{ tenantId, type: said.type, actor, subject: `turn:${step.turn_id}`, detail }];
  });
}

function whatHappened(step: StepWrite): Pick<AuditNote, 'type' | 'detail'> | undefined {
  const { status, error } = step;
  if (status === 'running') {
    const action = JSON.parse(step.action) as Action;
    return { type: 'step.intended', detail: { tool: action.type, args_sha256: payloadFingerprint(action.args) } };
  }
  if (status === 'succeeded' || status === 'failed' || status === 'cancelled') {
    const result = step.result === null ? {} : { result_sha256: sha256(step.result) };
    return { type: 'step.settled', detail: { status, ...(error === null ? {} : { code: codeOf(error) }), ...result } };
  }
  return status === 'paused' && error !== null && codeOf(error) === OUTCOME_UNKNOWN
    ? { type: 'step.unknown', detail: {} }
    : undefined;
}

function codeOf(error: string): string {
  return (JSON.parse(error) as StepError).code;
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
