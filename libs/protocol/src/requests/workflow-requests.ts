import { ActionList, type Action } from '../actions';
import { ContractError } from '../error-codes';
import { LIMITS } from '../limits';
import { ConversationKeyText, Flag, Nested, Optional, SomeOf, Text, Uuid, WholeNumber } from '../payload-fields';
import { TURN_STATUSES, type TurnBudgets, type TurnListItem, type TurnStatus } from '../turn';

export class BudgetsPayload implements TurnBudgets {
  @Optional()
  @WholeNumber()
  max_usd_micros?: number;

  @Optional()
  @WholeNumber()
  max_duration_ms?: number;

  @Optional()
  @WholeNumber()
  max_total_tokens?: number;
}

/**
 * Refuses a budget that nothing would hold, at the start and not when it is overspent.
 * @param path of the budgets, for the error: `payload.budgets`
 * @throws {ContractError} with rule `enforceable`
 */
export function requireEnforceable(
  budgets: TurnBudgets | undefined,
  path: string,
  { knowsPrice }: { readonly knowsPrice: boolean },
): void {
  if (budgets?.max_usd_micros === undefined || knowsPrice) return;
  const message = 'cannot be held here, because nobody has said what the model costs: use max_total_tokens';
  throw ContractError.at(`${path}.max_usd_micros`, 'enforceable', message);
}

/** `workflow.start`, and the body of `POST /v1/workflows`. */
export class WorkflowStartPayload {
  @ConversationKeyText()
  conversation_key: string;

  @Optional()
  @Text(LIMITS.idLength)
  plan_id?: string;

  @Optional()
  @Text(LIMITS.requestIdLength)
  request_id?: string;

  @ActionList()
  steps: Action[];

  @Nested(() => BudgetsPayload, { optional: true })
  budgets?: BudgetsPayload;
}

export interface WorkflowStartResult {
  /** The id of the turn that runs the workflow: they are the same durable thing. */
  workflow_run_id: string;
  plan_id: string;
  request_id: string;
  conversation_key: string;
  steps_count: number;
}

export class WorkflowResumePayload {
  @Text(LIMITS.tokenLength)
  token: string;
}

export interface WorkflowResumeResult {
  workflow_run_id: string;
}

export class WorkflowCancelPayload {
  @Uuid()
  workflow_run_id: string;

  @Optional()
  @Text(LIMITS.reasonLength, 0)
  reason?: string;
}

export interface WorkflowCancelResult {
  workflow_run_id: string;
  cancelled: boolean;
}

export class TurnListPayload {
  @Optional()
  @SomeOf(TURN_STATUSES)
  statuses?: TurnStatus[];

  @WholeNumber(1, LIMITS.turnListMax)
  limit: number = LIMITS.turnListDefault;

  /** Only turns that were given up and wait to be redriven. An addition of ours. */
  @Optional()
  @Flag()
  dead?: boolean;

  /** Goes on after another page of the same list. An addition of ours. */
  @Optional()
  @Text(LIMITS.cursorLength)
  cursor?: string;
}

export interface TurnListResult {
  turns: TurnListItem[];
  /** Only when there are more. */
  next_cursor?: string;
}
