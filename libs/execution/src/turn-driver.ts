import type { Action, EffectClass, StepError } from '@tyrum/protocol';
import { defaultEffectOf, LIMITS } from '@tyrum/protocol';
import type { StepRow, TurnRow } from '@tyrum/statestore/turns';
import { actionOf, workflowInputOf } from './parsed-rows';

/** What a turn does next, decided from its steps alone, so that any worker decides the same. */
export type NextMove =
  | { readonly kind: 'step'; readonly index: number; readonly action: Action; readonly effect: EffectClass }
  | { readonly kind: 'finish'; readonly status: 'succeeded'; readonly reply?: string }
  | { readonly kind: 'finish'; readonly status: 'failed'; readonly error: StepError };

/** What an `Llm` step's result holds for the next move. */
export interface ModelStepResult {
  readonly text: string;
  readonly calls: readonly ModelToolCall[];
}

export interface ModelToolCall {
  readonly call_id: string;
  readonly tool: string;
  /** As the model wrote it. */
  readonly input: unknown;
  /** The step it becomes; absent when the call was malformed, and then `error` goes back to the model. */
  readonly action?: Action;
  readonly error?: string;
}

/** The next move of a turn whose steps so far are all settled. */
export function nextMove(turn: TurnRow, steps: readonly StepRow[]): NextMove {
  return turn.kind === 'workflow' ? nextOfWorkflow(turn, steps) : nextOfChat(steps);
}

function nextOfWorkflow(turn: TurnRow, steps: readonly StepRow[]): NextMove {
  const failed = steps.find((step) => step.status === 'failed');
  if (failed) return { kind: 'finish', status: 'failed', error: errorOf(failed) };
  const { steps: actions } = workflowInputOf(turn);
  const action = actions[steps.length];
  return action ? stepMove(steps.length, action) : { kind: 'finish', status: 'succeeded' };
}

/**
 * A reply is a model call, the tool calls it asked for, a model call that sees their results, and so on until it asks
 * for none. A failed tool call is a result like any other: the model is told.
 */
function nextOfChat(steps: readonly StepRow[]): NextMove {
  const modelIndex = steps.findLastIndex((step) => isModelCall(step));
  const model = steps[modelIndex];
  if (!model) return stepMove(0, MODEL_CALL);
  if (model.status === 'failed') return afterFailedModelCall(model);
  const result = JSON.parse(model.result ?? '{}') as ModelStepResult;
  const calls = result.calls.filter((call) => call.action);
  const action = calls[steps.length - modelIndex - 1]?.action;
  if (action) return stepMove(steps.length, action);
  if (result.calls.length === 0) return { kind: 'finish', status: 'succeeded', reply: result.text };
  if (steps.length >= LIMITS.maxStepsPerTurn) {
    const message = `the reply took more than ${LIMITS.maxStepsPerTurn} steps`;
    return { kind: 'finish', status: 'failed', error: { code: 'step_limit', message } };
  }
  return stepMove(steps.length, MODEL_CALL);
}

const MODEL_CALL = { type: 'Llm', args: {} } as Action;

function isModelCall(step: StepRow): boolean {
  return actionOf(step).type === 'Llm';
}

/** Without a model the answer is that there is none: a person asked, and a failed turn would say nothing to them. */
function afterFailedModelCall(step: StepRow): NextMove {
  const error = errorOf(step);
  return error.code === 'model_not_configured'
    ? { kind: 'finish', status: 'succeeded', reply: error.message }
    : { kind: 'finish', status: 'failed', error };
}

function stepMove(index: number, action: Action): NextMove {
  return { kind: 'step', index, action, effect: defaultEffectOf(action) };
}

function errorOf(step: StepRow): StepError {
  return step.error ? (JSON.parse(step.error) as StepError) : { code: 'step_failed', message: 'the step failed' };
}
