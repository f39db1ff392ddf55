import type { Action } from '@tyrum/protocol';
import type { StepRow, TurnRow } from '@tyrum/statestore/turns';

/** A workflow's input, as the intake stores it. */
export interface WorkflowInput {
  readonly steps: readonly Action[];
}

/**
 * What a row holds as JSON, parsed once: a turn's input is looked at after each of its steps and may have megabytes. It is kept
 * with the row, and so with its copies in later states; a WeakMap would cost the garbage collector more than the parsing.
 */
const PARSED = Symbol('parsed');

interface Parsed<Value> {
  [PARSED]?: Value;
}

export function workflowInputOf(turn: TurnRow & Parsed<WorkflowInput>): WorkflowInput {
  return (turn[PARSED] ??= JSON.parse(turn.input) as WorkflowInput);
}

/** A new step, which knows its action already. */
export function withAction(step: StepRow & Parsed<Action>, action: Action): StepRow {
  step[PARSED] = action;
  return step;
}

export function actionOf(step: StepRow & Parsed<Action>): Action {
  return (step[PARSED] ??= JSON.parse(step.action) as Action);
}
