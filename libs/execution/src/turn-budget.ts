import type { TurnBudgets } from '@tyrum/protocol';
import type { StepRow, TurnRow } from '@tyrum/statestore/turns';
import { usageSnapshot, type EventDraft } from './turn-events';
import { actionOf } from './parsed-rows';

/** Tokens as the usual model services count them, in either spelling. It is the server's word, and may be anything. */
interface Usage {
  readonly total_tokens?: unknown;
  readonly prompt_tokens?: unknown;
  readonly completion_tokens?: unknown;
  readonly input_tokens?: unknown;
  readonly output_tokens?: unknown;
}

export function budgetsOf(turn: TurnRow): TurnBudgets {
  return turn.budgets === null ? {} : (JSON.parse(turn.budgets) as TurnBudgets);
}

/** What a model's tokens cost, in micro-dollars each. */
export interface ModelPrice {
  readonly promptMicros: number;
  readonly completionMicros: number;
}

interface Used {
  readonly prompt: number;
  readonly completion: number;
  readonly total: number;
}

/** What a turn's model calls have used so far. */
export function tokensUsed(steps: readonly StepRow[]): number {
  return steps.reduce((sum, step) => sum + usedBy(step).total, 0);
}

/** What they have cost, rounded up. */
export function microsSpent(steps: readonly StepRow[], { promptMicros, completionMicros }: ModelPrice): number {
  const micros = steps.map(usedBy).reduce((sum, used) => {
    // Of a bare total nobody knows which half it is: it counts as the dearer one.
    const unknown = used.total - used.prompt - used.completion;
    const dearer = Math.max(promptMicros, completionMicros);
    return sum + used.prompt * promptMicros + used.completion * completionMicros + Math.max(0, unknown) * dearer;
  }, 0);
  return Math.ceil(micros);
}

function usedBy(step: StepRow): Used {
  const nothing = { prompt: 0, completion: 0, total: 0 };
  if (step.result === null || actionOf(step).type !== 'Llm') return nothing;
  const { usage } = JSON.parse(step.result) as { usage?: Usage };
  if (!usage) return nothing;
  const prompt = count(usage.prompt_tokens) ?? count(usage.input_tokens) ?? 0;
  const completion = count(usage.completion_tokens) ?? count(usage.output_tokens) ?? 0;
  return { prompt, completion, total: count(usage.total_tokens) ?? prompt + completion };
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** `usage.snapshot` of a model call that has come to a result; nothing for other steps, and where no tokens were counted. */
export function usageEvents(turn: TurnRow, step: StepRow, price: ModelPrice | undefined): EventDraft[] {
  const used = usedBy(step);
  if (used.total === 0) return [];
  const { model } = JSON.parse(step.result ?? '{}') as { model?: unknown };
  return [
    usageSnapshot({
      turn_id: turn.turn_id,
      conversation_key: turn.conversation_key,
      step_index: step.step_index,
      ...(typeof model === 'string' ? { model } : {}),
      ...(used.prompt + used.completion > 0 ? { input_tokens: used.prompt, output_tokens: used.completion } : {}),
      total_tokens: used.total,
      ...(price ? { usd_micros: microsSpent([step], price) } : {}),
    }),
  ];
}

/**
 * What a turn may still spend. Its time runs from its first start, waits included, by the database's clock; between two
 * looks at that it is measured on the monotonic one.
 */
export class TurnBudget {
  private readonly deadline: number;
  private readonly budgets: TurnBudgets;

  /** @param price absent: this process cannot count money, and takes a turn that may spend only so much no further than a step */
  constructor(
    turn: TurnRow,
    elapsedMs: number,
    private readonly price: ModelPrice | undefined,
  ) {
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
    const used = maxTokens === undefined ? 0 : tokensUsed(steps);
    if (maxTokens !== undefined && used > maxTokens) return `it used ${used} tokens of ${maxTokens}`;
    return this.overspent(steps);
  }

  private overspent(steps: readonly StepRow[]): string | undefined {
    const { max_usd_micros: maxMicros } = this.budgets;
    if (maxMicros === undefined) return undefined;
    if (!this.price) return 'its worker does not know what the model costs (TYRUM_MODEL_PRICE)';
    const spent = microsSpent(steps, this.price);
    return spent > maxMicros ? `it spent ${spent} micro-dollars of ${maxMicros}` : undefined;
  }
}

/** The budgets of a turn that may spend as much again, on top of what it has used or was allowed. */
export function extended(
  turn: TurnRow,
  used: { readonly elapsedMs: number; readonly steps: readonly StepRow[]; readonly price: ModelPrice | undefined },
): TurnBudgets {
  const { max_duration_ms: maxMs, max_total_tokens: maxTokens, max_usd_micros: maxMicros, ...rest } = budgetsOf(turn);
  const { elapsedMs, steps, price } = used;
  const spent = price ? microsSpent(steps, price) : 0;
  return {
    ...rest,
    ...(maxMs === undefined ? {} : { max_duration_ms: Math.max(maxMs, elapsedMs) + maxMs }),
    ...(maxTokens === undefined ? {} : { max_total_tokens: Math.max(maxTokens, tokensUsed(steps)) + maxTokens }),
    ...(maxMicros === undefined ? {} : { max_usd_micros: Math.max(maxMicros, spent) + maxMicros }),
  };
}
