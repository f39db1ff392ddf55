import { StoreUnavailableError, type ConversationRef } from '@tyrum/statestore';
import type { ArrivalKind, ClaimedConversation, OpenTurn, StepRow, TurnRow, Written } from '@tyrum/statestore/turns';
import {
  counted,
  ended,
  firstStep,
  givenUp,
  isArrivalKind,
  overBudget,
  waitingFor,
  merged,
  nextState,
  NO_CHANGE,
  waiting,
  withTurn,
  type Continuation,
  type Inputs,
} from './continuation';
import type { ProcessorObserver } from './processor-observer';
import { retryDelayMs, type RetryPolicy } from './retry-policy';
import type { AbortReason, StepOutcome } from './step-executor';
import type { StepExecution, StepReport } from './step-execution';
import { TurnBudget } from './turn-budget';
import { nextMove } from './turn-driver';
import * as progress from './turn-progress';
import type { TurnChange } from './turn-progress';
import type { TurnWrite, TurnWriter } from './turn-writer';
import { WaitingInputs } from './waiting-inputs';
import { arrivalOfEnd } from './waits';

export interface RunPorts {
  readonly writer: TurnWriter;
  readonly execution: StepExecution;
  readonly observer: ProcessorObserver;
  readonly retry: RetryPolicy;
  readonly random: () => number;
  /** Executions of one turn by different workers at the most: a turn that kills its worker must come to an end. */
  readonly maxTurnAttempts: number;
}

/** The longest delay that setTimeout takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const REFUSED: Written = { applied: false, started: false, settled: [], ready: false, firstEventSeq: 0 };

/**
 * Runs one conversation's turns in order under one lease. Every commit carries the lease token; one refusal ends the run
 * without another write. Between two steps there is one commit: the result of the one and the intent of the other.
 *
 *     queued ──start──▶ running ──step──▶ … ──▶ succeeded | failed | cancelled
 *                        │  ▲
 *       wait or unknown  ▼  │ due again, or an operator decided
 *                        paused   (no worker, no lease)
 */
export class ConversationRun {
  private current: OpenTurn | undefined;
  private stepAbort = new AbortController();
  private lost = false;
  private draining = false;
  private cancelledTurnId: string | undefined;
  /** What the turn under way may still spend; undefined when nothing limits it. */
  private budget: TurnBudget | undefined;

  readonly ref: ConversationRef;
  readonly token: number;
  /** Workers that lost the first turn without getting it anywhere. Whoever starts it is one more. */
  private takeovers: number;
  private readonly waiting: WaitingInputs;

  constructor(
    claimed: ClaimedConversation,
    private readonly work: OpenTurn[],
    private readonly ports: RunPorts,
  ) {
    this.ref = { tenantId: claimed.tenantId, conversationKey: claimed.conversationKey };
    this.token = claimed.token;
    this.takeovers = claimed.takeovers;
    this.waiting = new WaitingInputs(claimed, ports);
  }

  /** The turn under way, for the renewal's look at cancel requests. */
  get turnId(): string | undefined {
    return this.current?.turn.turn_id;
  }

  /** Runs until there is nothing left to do, the lease is lost, or the process drains. Throws only programmers' errors. */
  async run(): Promise<void> {
    let step = await this.begin();
    while (step && !this.lost) {
      this.stepAbort = new AbortController();
      if (this.isCancelled()) this.stepAbort.abort('cancelled' satisfies AbortReason);
      const report = await this.execute(step);
      if (this.lost) return;
      step = await this.settle(step, report);
    }
  }

  /** Runs a step for as long as its turn has time. */
  private async execute(step: StepRow): Promise<StepReport> {
    const { stepAbort } = this;
    const remainingMs = this.budget?.remainingMs;
    const stop = () => stepAbort.abort('budget' satisfies AbortReason);
    // A longer delay than setTimeout knows is left to the look at the step's end.
    const timed = remainingMs !== undefined && remainingMs <= MAX_TIMER_MS;
    const timer = timed ? setTimeout(stop, remainingMs) : undefined;
    try {
      return await this.ports.execution.run(this.openTurn(), step, this.token, stepAbort.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Somebody else may hold the conversation from now on: stop what runs, write nothing. */
  loseLease(): void {
    this.lost = true;
    this.stepAbort.abort('lease_lost' satisfies AbortReason);
  }

  cancelTurn(turnId: string): void {
    if (this.turnId !== turnId) return;
    this.cancelledTurnId = turnId;
    this.stepAbort.abort('cancelled' satisfies AbortReason);
  }

  /** Finish the step that runs, then let the conversation go. */
  drain(): void {
    this.draining = true;
  }

  /** The drain's time is up: stop the step. */
  interrupt(): void {
    this.draining = true;
    this.stepAbort.abort('draining' satisfies AbortReason);
  }

  /** Fails the turn under way for a reason of our own; the way out after a throw. */
  async fail(message: string): Promise<void> {
    if (this.lost || !this.current) return;
    const change = progress.finishTurn(this.current.turn, {
      kind: 'finish',
      status: 'failed',
      error: { code: 'internal', message },
    });
    await this.submit({ change, rows: [], events: [], rest: 'ended' }, undefined);
  }

  private openTurn(): OpenTurn {
    if (!this.current) throw new Error('a step runs inside a turn');
    return this.current;
  }

  private isCancelled(): boolean {
    return this.current !== undefined && this.cancelledTurnId === this.current.turn.turn_id;
  }

  /** Starts or resumes the next turn. Returns its step to execute, or undefined when the run is over. */
  private async begin(): Promise<StepRow | undefined> {
    for (;;) {
      const open = this.draining ? undefined : this.work.shift();
      if (!open) {
        await this.release();
        return undefined;
      }
      if (open.turn.status !== 'queued') {
        this.current = open;
        if (open.turn.cancel_requested_at !== null) this.cancelledTurnId = open.turn.turn_id;
        return this.commit(await this.resume(open));
      }
      const next = counted(open, this.takeovers);
      this.takeovers = 0;
      const inputs = await this.waiting.collected(next);
      const written = await this.submit({ change: NO_CHANGE, rows: [], events: [], ...inputs }, next);
      if (!written.applied) return undefined;
      if (!written.started) continue;
      // It never got as far as its first commit: whatever kills its workers does it before that.
      if (next.turn.attempt <= this.ports.maxTurnAttempts) return this.started(next);
      this.current = progress.patched(next, progress.startTurn(next.turn), next.steps);
      return this.commit(givenUp(this.current, next.turn.attempt));
    }
  }

  private async release(): Promise<void> {
    const write = { ...this.ref, token: this.token, steps: [], messages: [], next: { kind: 'release' } as const };
    await this.submitWrite({ write, events: [], startEvents: [] });
  }

  private started(open: OpenTurn): StepRow {
    const step = firstStep(open);
    this.budget = open.turn.budgets === null ? undefined : new TurnBudget(open.turn, 0);
    this.current = progress.patched(open, progress.startTurn(open.turn), merged(open.steps, [step]));
    return step;
  }

  /** Goes on with a turn that waited or was left behind, from the first step without a result. */
  private async resume(open: OpenTurn): Promise<Continuation> {
    if (this.isCancelled()) return this.whenCancelled(open);
    const resumed = progress.resumeTurn(open.turn, 1 + this.takeovers);
    this.takeovers = 0;
    const attempt = resumed.patch?.attempt ?? 0;
    if (attempt > this.ports.maxTurnAttempts) return givenUp(open, attempt);
    this.budget =
      open.turn.budgets === null ? undefined : new TurnBudget(open.turn, await this.ports.writer.elapsedMs(open.turn));
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
    const row = await this.ports.writer.arrived({ tenantId: this.ref.tenantId, ...wait });
    if (row?.outcome != null) {
      const outcome = JSON.parse(row.outcome) as StepOutcome;
      return withTurn(resumed, this.afterStep(open, step, { outcome, durationMs: 0 }));
    }
    if (open.turn.wait_until === null) return waitingFor(open.turn, wait);
    const error = { code: 'wait_timeout', message: `no ${wait.kind} arrived in time` };
    const outcome: StepOutcome = { kind: 'failed', error, retryable: false };
    return withTurn(resumed, this.afterStep(open, step, { outcome, durationMs: 0 }));
  }

  private async recover(open: OpenTurn, step: StepRow): Promise<Continuation> {
    if (step.effect === 'read') return this.again(open, step);
    const report = await this.ports.execution.recover(open, step, this.token);
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

  private settle(step: StepRow, report: StepReport): Promise<StepRow | undefined> {
    return this.commit(this.afterStep(this.openTurn(), step, report));
  }

  private afterStep(open: OpenTurn, step: StepRow, { outcome, durationMs, post }: StepReport): Continuation {
    this.ports.observer.stepSettled({ type: progress.actionOf(step).type, outcome: outcome.kind, durationMs });
    const settled = progress.settleStep(step, outcome);
    const steps = [...open.steps.filter((s) => s.step_index !== step.step_index), settled];
    const now = { turn: open.turn, steps };
    if (this.isCancelled()) return this.whenCancelled(now);
    const wait = this.waitAfter(open.turn, settled, outcome);
    if (wait) {
      const row = { ...settled, status: 'paused' } as const;
      const waits = outcome.kind === 'waiting' ? outcome.kind : undefined;
      const event = progress.stepEvent(open.turn, row, durationMs, waits);
      return { ...wait, rows: [row], events: [event, ...wait.events] };
    }
    const next = this.proceed(now, [settled]);
    return {
      ...next,
      events: [progress.stepEvent(open.turn, settled, durationMs), ...next.events],
      ...(post ? { post } : {}),
    };
  }

  /** Whether the turn has to wait after this outcome: for time, for an operator, or for another worker. */
  private waitAfter(turn: TurnRow, step: StepRow, outcome: StepOutcome): Continuation | undefined {
    if (outcome.kind === 'unknown') {
      return { change: progress.parkTurn(turn, step, outcome.detail), rows: [], events: [], rest: 'parked' };
    }
    if (outcome.kind === 'waiting') return waitingFor(turn, outcome.wait);
    if (outcome.kind === 'interrupted') {
      // The timer's word and not the clock's: timers may fire a fraction of a millisecond early.
      const timeIsUp = this.stepAbort.signal.reason === 'budget' ? this.budget?.timeIsUp : undefined;
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
  private proceed(open: OpenTurn, rows: readonly StepRow[]): Continuation {
    const move = nextMove(open.turn, open.steps);
    if (move.kind === 'finish') return { ...ended(progress.finishTurn(open.turn, move)), rows };
    const exceeded = this.budget?.exceeded(open.steps);
    if (exceeded !== undefined) return overBudget(open.turn, rows, exceeded);
    if (this.draining) return { ...waiting(open.turn, 0), rows };
    const step = progress.intentOf(open.turn, move);
    return { change: NO_CHANGE, step, rows: [...rows, step], events: [progress.stepEvent(open.turn, step)] };
  }

  /** Commits a continuation; where the turn ended, the next one starts in the same commit. */
  private async commit(next: Continuation): Promise<StepRow | undefined> {
    const open = this.openTurn();
    const following = next.rest === 'ended' && !this.draining ? this.work.shift() : undefined;
    const inputs = following ? await this.waiting.collected(following) : await this.waiting.steered(open.turn, next);
    const written = await this.submit({ ...next, ...inputs }, following);
    if (!written.applied) return undefined;
    this.current = progress.patched(open, next.change, merged(open.steps, next.rows));
    if (next.rest === 'ended') this.ended(open.turn, next.change);
    if (next.step) return next.step;
    if (!following) return undefined;
    return written.started ? this.started(following) : this.begin();
  }

  /** Their replies are another turn's now: their streams end, and they are not to be started. */
  private takeInputs(inputs: Inputs | undefined, settled: readonly string[]): void {
    for (const turn of inputs?.turns ?? []) {
      if (!settled.includes(turn.turn_id)) continue;
      this.ports.observer.turnSettled({
        turnId: turn.turn_id,
        conversationKey: turn.conversation_key,
        status: 'succeeded',
      });
      this.ports.execution.ended(turn, 'succeeded');
      const at = this.work.findIndex((open) => open.turn.turn_id === turn.turn_id);
      if (at >= 0) this.work.splice(at, 1);
    }
  }

  private ended(turn: TurnRow, change: TurnChange): void {
    const status = change.patch?.status ?? turn.status;
    this.ports.observer.turnSettled({ turnId: turn.turn_id, conversationKey: turn.conversation_key, status });
    this.ports.execution.ended(turn, status);
    this.current = undefined;
  }

  private async submit(next: Continuation, following: OpenTurn | undefined): Promise<Written> {
    const start = following ? progress.startTurn(following.turn) : undefined;
    const first = following ? firstStep(following) : undefined;
    const { inputs, wait } = next;
    const ending = next.rest === 'ended' ? this.current?.turn : undefined;
    const arrival = ending && arrivalOfEnd(ending, next.change.patch?.status ?? ending.status);
    const written = await this.submitWrite({
      write: {
        ...this.ref,
        token: this.token,
        ...(next.change.patch ? { turn: next.change.patch } : {}),
        steps: next.rows.map(progress.stepWrite),
        messages: next.change.messages,
        ...(start?.patch && first ? { start: { turn: start.patch, steps: [progress.stepWrite(first)] } } : {}),
        ...(next.dead ? { dead: next.dead } : {}),
        ...(wait && this.current ? { wait: { ...wait, turnId: this.current.turn.turn_id } } : {}),
        ...(inputs ? { inputs: { ...inputs, turnIds: inputs.turns.map((turn) => turn.turn_id) } } : {}),
        next: nextState(next, following !== undefined),
      },
      events: [...next.events, ...next.change.events],
      startEvents: start && following && first ? [...start.events, progress.stepEvent(following.turn, first)] : [],
      ...(next.post ? { post: next.post } : {}),
      ...(arrival ? { arrival } : {}),
    });
    this.takeInputs(inputs, written.settled);
    return written;
  }

  /** A database that is away for a moment costs time, not the step's result: try again while the lease may be trusted. */
  private async submitWrite(write: TurnWrite): Promise<Written> {
    while (!this.lost) {
      try {
        const written = await this.ports.writer.submit(write);
        if (!written.applied) {
          this.lost = true;
          this.ports.observer.writeFenced({ conversationKey: this.ref.conversationKey, token: this.token });
        }
        return written;
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error;
        this.ports.observer.trouble('settle', error);
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
    return REFUSED;
  }
}
