import type { ConversationRef } from '@tyrum/statestore';
import type { ArrivalKind, BlockedReason, OpenTurn, StepRow, TurnRow } from '@tyrum/statestore/turns';
import {
  ended,
  givenUp,
  isArrivalKind,
  NO_CHANGE,
  overBudget,
  waiting,
  waitingFor,
  withTurn,
  type Continuation,
} from './continuation';
import { actionOf } from './parsed-rows';
import type { RunPorts } from './conversation-run';
import { retryDelayMs } from './retry-policy';
import type { StepReport } from './step-execution';
import type { StepOutcome } from './step-executor';
import { TurnBudget, usageEvents } from './turn-budget';
import { nextMove } from './turn-driver';
import type { ArrivedOutcome } from './waits';
import * as progress from './turn-progress';
import type { TurnChange } from './turn-progress';

/** What a turn's course depends on besides the turn itself. */
export interface CourseOf {
  readonly ref: ConversationRef;
  readonly token: number;
  /** Finish the step that runs, then let the conversation go. */
  readonly draining: boolean;
  /** Why the step was stopped, if it was. */
  readonly abortReason: unknown;
  isCancelled(): boolean;
}

/** Decides how a turn goes on: after a step, after a wait, after its last worker left it. Writes nothing. */
export class TurnCourse {
  /** What the turn under way may still spend; undefined when nothing limits it. */
  budget: TurnBudget | undefined;

  constructor(
    private readonly run: CourseOf,
    private readonly ports: RunPorts,
  ) {}

  /** A turn begins. */
  begin(turn: TurnRow): void {
    this.budget = turn.budgets === null ? undefined : new TurnBudget(turn, 0, this.ports.modelPrice);
  }

  /** Goes on with a turn that waited or was left behind, from the first step without a result. */
  async resume(open: OpenTurn, takeovers: number): Promise<Continuation> {
    if (this.run.isCancelled()) return this.whenCancelled(open);
    const resumed = progress.resumeTurn(open.turn, 1 + takeovers);
    const attempt = resumed.patch?.attempt ?? 0;
    if (attempt > this.ports.maxTurnAttempts) return givenUp(open, attempt);
    this.budget =
      open.turn.budgets === null
        ? undefined
        : new TurnBudget(open.turn, await this.ports.writer.elapsedMs(open.turn), this.ports.modelPrice);
    const last = open.steps.at(-1);
    if (!last || progress.isSettled(last)) return withTurn(resumed, this.proceed(open, []));
    const { wait_kind: kind, wait_id: id } = open.turn;
    if (id !== null && isArrivalKind(kind)) return this.afterWait(open, last, { kind, id }, resumed);
    // `paused` and `queued` were left open knowingly; `running` is an intent without a result.
    if (last.status === 'running') return withTurn(resumed, await this.recover(open, last));
    return withTurn(resumed, this.again(open, last));
  }

  /** Goes on with what has arrived, or without it when the time is up. */
  private async afterWait(
    open: OpenTurn,
    step: StepRow,
    wait: { readonly kind: ArrivalKind; readonly id: string },
    resumed: TurnChange,
  ): Promise<Continuation> {
    const row = await this.ports.writer.arrived({ tenantId: this.run.ref.tenantId, ...wait });
    if (row?.outcome != null) {
      const outcome = JSON.parse(row.outcome) as ArrivedOutcome;
      if (outcome.kind === 'approved') return withTurn(resumed, await this.approved(open, step, wait.id));
      return withTurn(resumed, this.afterStep(open, step, { outcome, durationMs: 0 }));
    }
    if (open.turn.wait_until === null) return waitingFor(open.turn, { ...wait, ...reasonOf(open.turn) });
    const error = { code: 'wait_timeout', message: `no ${wait.kind} arrived in time` };
    const outcome: StepOutcome = { kind: 'failed', error, retryable: false };
    const next = this.afterStep(open, step, { outcome, durationMs: 0 });
    const alongside = wait.kind === 'approval' ? this.ports.gate?.expire(open.turn, wait.id) : undefined;
    return withTurn(resumed, { ...next, ...(alongside ? { alongside } : {}) });
  }

  /** Runs what was approved, if it still is what was shown. Else it is tried like any step, and asks anew. */
  private async approved(open: OpenTurn, step: StepRow, approvalId: string): Promise<Continuation> {
    const { gate } = this.ports;
    if (!gate || !(await gate.isGood(open.turn, step, approvalId))) return this.again(open, step);
    const exceeded = this.budget?.exceeded(open.steps);
    if (exceeded !== undefined) return overBudget(open.turn, [], exceeded);
    const intent: StepRow = { ...step, status: 'running', error: null };
    const events = [progress.stepEvent(open.turn, intent)];
    return {
      change: NO_CHANGE,
      step: intent,
      rows: [intent],
      events,
      alongside: gate.use(open.turn, step, approvalId),
    };
  }

  private async recover(open: OpenTurn, step: StepRow): Promise<Continuation> {
    if (step.effect === 'read') return this.again(open, step);
    const report = await this.ports.execution.recover(open, step, this.run.token);
    if (report) return this.afterStep(open, step, report);
    if (step.effect === 'idempotent') return this.again(open, step);
    const detail = 'its worker stopped while it ran';
    return this.afterStep(open, step, { outcome: { kind: 'unknown', detail }, durationMs: 0 });
  }

  /** Tries a step again, if its turn may still spend anything. */
  private again(open: OpenTurn, step: StepRow): Continuation {
    const exceeded = this.budget?.exceeded(open.steps);
    if (exceeded !== undefined) return overBudget(open.turn, [{ ...step, status: 'paused' }], exceeded);
    const attempt = progress.nextAttempt(step);
    return { change: NO_CHANGE, step: attempt, rows: [attempt], events: [progress.stepEvent(open.turn, attempt)] };
  }

  afterStep(open: OpenTurn, step: StepRow, { outcome, durationMs, post }: StepReport): Continuation {
    const action = actionOf(step);
    this.ports.observer.stepSettled({ type: action.type, outcome: outcome.kind, durationMs });
    const settled = progress.settleStep(step, outcome);
    const steps = [...open.steps.filter((s) => s.step_index !== step.step_index), settled];
    const now = { turn: open.turn, steps };
    // An outcome without a result leaves that of an earlier attempt, which was told of.
    const isResult = action.type === 'Llm' && (outcome.kind === 'succeeded' || outcome.kind === 'failed');
    const used = isResult ? usageEvents(open.turn, settled, this.ports.modelPrice) : [];
    if (this.run.isCancelled()) {
      const next = this.whenCancelled(now);
      return { ...next, events: [...used, ...next.events] };
    }
    const wait = this.waitAfter(open.turn, settled, outcome);
    if (wait) {
      const row = { ...settled, status: 'paused' } as const;
      const status = outcome.kind === 'waiting' ? outcome.kind : undefined;
      const event = progress.stepEvent(open.turn, row, { action, durationMs, status });
      return { ...wait, rows: [row], events: [event, ...used, ...wait.events] };
    }
    const next = this.proceed(now, [settled]);
    const events = [progress.stepEvent(open.turn, settled, { action, durationMs }), ...used, ...next.events];
    return { ...next, events, ...(post ? { post } : {}) };
  }

  /** Whether the turn has to wait after this outcome: for time, for an operator, or for another worker. */
  private waitAfter(turn: TurnRow, step: StepRow, outcome: StepOutcome): Continuation | undefined {
    if (outcome.kind === 'unknown') {
      return { change: progress.parkTurn(turn, step, outcome.detail), rows: [], events: [], rest: 'parked' };
    }
    if (outcome.kind === 'waiting') return waitingFor(turn, outcome.wait, outcome.alongside);
    if (outcome.kind === 'interrupted') {
      // The timer's word and not the clock's: timers may fire a fraction of a millisecond early.
      const timeIsUp = this.run.abortReason === 'budget' ? this.budget?.timeIsUp : undefined;
      return timeIsUp === undefined ? waiting(turn, 0) : overBudget(turn, [], timeIsUp);
    }
    if (outcome.kind === 'failed' && outcome.retryable && step.attempts < this.ports.retry.maxAttempts) {
      const { retry, random } = this.ports;
      return waiting(turn, retryDelayMs(retry, step.attempts, outcome.retryAfterMs ?? 0, random));
    }
    return undefined;
  }

  private whenCancelled(open: OpenTurn): Continuation {
    const cut = open.steps
      .filter((step) => !progress.isSettled(step))
      .map((step) => ({ ...step, status: 'cancelled' as const }));
    const change = progress.cancelTurn(open.turn, open.turn.cancel_reason);
    const rows = [...open.steps.filter((step) => progress.isSettled(step)), ...cut];
    return { ...ended(change), rows, events: cut.map((step) => progress.stepEvent(open.turn, step)) };
  }

  /** The next move of a turn whose steps are settled; `rows` are those not committed yet. */
  proceed(open: OpenTurn, rows: readonly StepRow[]): Continuation {
    const move = nextMove(open.turn, open.steps);
    if (move.kind === 'finish') return { ...ended(progress.finishTurn(open.turn, move)), rows };
    const exceeded = this.budget?.exceeded(open.steps);
    if (exceeded !== undefined) return overBudget(open.turn, rows, exceeded);
    if (this.run.draining) return { ...waiting(open.turn, 0), rows };
    const step = progress.intentOf(open.turn, move);
    return { change: NO_CHANGE, step, rows: [...rows, step], events: [progress.stepEvent(open.turn, step)] };
  }
}

/** Why a turn stands still, where it goes on to stand still for the same. */
function reasonOf({ blocked_reason: reason, blocked_detail: detail }: TurnRow): {
  reason?: BlockedReason;
  detail?: string;
} {
  return { ...(reason === null ? {} : { reason }), ...(detail === null ? {} : { detail }) };
}
