import type { TurnBudgets } from '@tyrum/protocol';
import type { StepRow, TurnRow } from '@tyrum/statestore/turns';
import { actionOf } from './turn-progress';

/** Tokens as the usual model services count them, in either spelling. */
interface Usage {
  readonly total_tokens?: number;
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
}

export function budgetsOf(turn: TurnRow): TurnBudgets {
  return turn.budgets === null ? {} : (JSON.parse(turn.budgets) as TurnBudgets);
}

/** What a turn's model calls have used so far. */
export function tokensUsed(steps: readonly StepRow[]): number {
  return steps.reduce((sum, step) => sum + tokensOf(step), 0);
}

function tokensOf(step: StepRow): number {
  if (step.result === null || actionOf(step).type !== 'Llm') return 0;
  const { usage } = JSON.parse(step.result) as { usage?: Usage };
  if (!usage) return 0;
  const asked = usage.prompt_tokens ?? usage.input_tokens ?? 0;
  const answered = usage.completion_tokens ?? usage.output_tokens ?? 0;
  return usage.total_tokens ?? asked + answered;
}

/**
 * What a turn may still spend. Its time runs from its first start, waits included, by the database's clock; between two
 * looks at that it is measured on the monotonic one.
 */
export class TurnBudget {
  private readonly deadline: number;
  private readonly budgets: TurnBudgets;

  constructor(turn: TurnRow, elapsedMs: number) {
    this.budgets = budgetsOf(turn);
    this.deadline = performance.now() + (this.budgets.max_duration_ms ?? Infinity) - elapsedMs;
  }

  /** How long the next step may run; undefined when nothing limits it. */
  get remainingMs(): number | undefined {
    return this.deadline === Infinity ? undefined : Math.max(0, this.deadline - performance.now());
  }

  /** What is said of a turn whose time is up. */
  get timeIsUp(): string {
    return `it ran for longer than ${this.budgets.max_duration_ms} ms`;
  }

  /** In words what is used up, if anything is. */
  exceeded(steps: readonly StepRow[]): string | undefined {
    const { max_duration_ms: maxMs, max_total_tokens: maxTokens } = this.budgets;
    if (maxMs !== undefined && performance.now() >= this.deadline) return this.timeIsUp;
    if (maxTokens === undefined) return undefined;
    const used = tokensUsed(steps);
    return used > maxTokens ? `it used ${used} tokens of ${maxTokens}` : undefined;
  }
}

/** The budgets of a turn that may spend as much again, on top of what it has used or was allowed. */
export function extended(turn: TurnRow, elapsedMs: number, steps: readonly StepRow[]): TurnBudgets {
  const { max_duration_ms: maxMs, max_total_tokens: maxTokens, ...rest } = budgetsOf(turn);
  return {
    ...rest,
    ...(maxMs === undefined ? {} : { max_duration_ms: Math.max(maxMs, elapsedMs) + maxMs }),
    ...(maxTokens === undefined ? {} : { max_total_tokens: Math.max(maxTokens, tokensUsed(steps)) + maxTokens }),
  };
}
