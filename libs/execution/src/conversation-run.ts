import { StoreUnavailableError, type ConversationRef } from '@tyrum/statestore';
import type { ClaimedConversation, OpenTurn, StepRow, TurnRow, Written } from '@tyrum/statestore/turns';
import type { ApprovalGate } from './approval-gate';
import { ClaimedWork } from './claimed-work';
import {
  counted,
  firstStep,
  givenUp,
  merged,
  nextState,
  quietFirstStep,
  startOf,
  NO_CHANGE,
  type Continuation,
  type Inputs,
} from './continuation';
import type { ProcessorObserver } from './processor-observer';
import { QuietTime } from './quiet-time';
import type { RetryPolicy } from './retry-policy';
import type { AbortReason } from './step-executor';
import type { StepExecution, StepReport } from './step-execution';
import type { ModelPrice } from './turn-budget';
import { TurnCourse, type CourseOf } from './turn-course';
import * as progress from './turn-progress';
import type { TurnChange } from './turn-progress';
import type { TurnStart, TurnWrite, TurnWriter } from './turn-writer';
import { WaitingInputs } from './waiting-inputs';
import { arrivalOfEnd } from './waits';

export interface RunPorts {
  readonly writer: TurnWriter;
  readonly execution: StepExecution;
  /** What asks for approvals; without it nothing does. */
  readonly gate?: ApprovalGate;
  readonly observer: ProcessorObserver;
  readonly retry: RetryPolicy;
  readonly random: () => number;
  /** For how long after its claim a conversation may begin further turns. */
  readonly sliceMs: number;
  /** Executions of one turn by different workers at the most: a turn that kills its worker must come to an end. */
  readonly maxTurnAttempts: number;
  /** What the model costs, if that is known: budgets of money are held by it. */
  readonly modelPrice?: ModelPrice;
}

/** A turn that has ended and of which nothing is written yet. */
interface QuietTurn {
  readonly turn: TurnRow;
  readonly came: Continuation;
  readonly start: TurnStart;
}

/** The longest delay that setTimeout takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const REFUSED: Written = { applied: false, started: [], settled: [], ready: false, firstEventSeq: 0 };

/**
 * Runs one conversation's turns in order under one lease. Every commit carries the lease token; one refusal ends the run
 * without another write. Between two steps there is one commit: the result of the one and the intent of the other.
 *
 *     queued ──start──▶ running ──step──▶ … ──▶ succeeded | failed | cancelled
 *                        │  ▲
 *       wait or unknown  ▼  │ due again, or an operator decided
 *                        paused   (no worker, no lease)
 */
export class ConversationRun implements CourseOf {
  private current: OpenTurn | undefined;
  private stepAbort = new AbortController();
  /** The execution of the current turn's first step, where it began before its turn's beginning was written. */
  private underWay: Promise<StepReport> | undefined;
  /** Whether it has been found out that the lease is lost. */
  lost = false;
  draining = false;
  private cancelledTurnId: string | undefined;

  readonly ref: ConversationRef;
  readonly token: number;
  /** Workers that lost the first turn without getting it anywhere. Whoever starts it is one more. */
  private takeovers: number;
  private readonly work: ClaimedWork;
  private readonly waiting: WaitingInputs;
  private readonly course: TurnCourse;

  constructor(
    claimed: ClaimedConversation,
    turns: OpenTurn[],
    private readonly ports: RunPorts,
  ) {
    this.ref = { tenantId: claimed.tenantId, conversationKey: claimed.conversationKey };
    this.token = claimed.token;
    this.takeovers = claimed.takeovers;
    this.work = new ClaimedWork(turns, ports.sliceMs);
    this.waiting = new WaitingInputs(claimed, ports);
    this.course = new TurnCourse(this, ports);
  }

  get abortReason(): unknown {
    return this.stepAbort.signal.reason;
  }

  /** The turn under way, for the renewal's look at cancel requests. */
  get turnId(): string | undefined {
    return this.current?.turn.turn_id;
  }

  /** Runs until there is nothing left to do, the lease is lost, or the process drains. Throws only programmers' errors. */
  async run(): Promise<void> {
    let step = await this.begin();
    while (step && !this.lost) {
      const underWay = this.underWay ?? this.execute(step);
      this.underWay = undefined;
      const report = await underWay;
      if (this.lost) return;
      step = await this.settle(step, report);
    }
  }

  /** Runs a step for as long as its turn has time. */
  private async execute(step: StepRow): Promise<StepReport> {
    const stepAbort = (this.stepAbort = new AbortController());
    if (this.isCancelled()) stepAbort.abort('cancelled' satisfies AbortReason);
    const remainingMs = this.course.budget?.remainingMs;
    const stop = () => stepAbort.abort('budget' satisfies AbortReason);
    // A longer delay than setTimeout knows is left to the look at the step's end.
    const timed = remainingMs !== undefined && remainingMs <= MAX_TIMER_MS;
    const timer = timed ? setTimeout(stop, remainingMs) : undefined;
    try {
      return await this.ports.execution.run(this.openTurn(), step, this.token, stepAbort);
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
    this.work.close();
  }

  /** The drain's time is up: stop the step. */
  interrupt(): void {
    this.drain();
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

  isCancelled(): boolean {
    return this.current !== undefined && this.cancelledTurnId === this.current.turn.turn_id;
  }

  /** Starts or resumes the next turn. Returns its step to execute, or undefined when the run is over. */
  private async begin(): Promise<StepRow | undefined> {
    while (!this.lost) {
      const quiet = this.nextQuietStep();
      if (quiet) {
        const next = await this.beginQuietly(quiet);
        if (next === 'another') continue;
        return next;
      }
      const open = this.work.takeNext();
      if (!open) {
        await this.release();
        return undefined;
      }
      if (open.turn.status !== 'queued') {
        this.current = open;
        if (open.turn.cancel_requested_at !== null) this.cancelledTurnId = open.turn.turn_id;
        return this.commit(await this.course.resume(open, this.takeTakeovers()));
      }
      const next = counted(open, this.takeTakeovers());
      const inputs = await this.waiting.collected(next);
      const written = await this.submit({ change: NO_CHANGE, rows: [], events: [], ...inputs }, next);
      if (!written.applied) return undefined;
      if (written.started.length === 0) continue;
      // It never got as far as its first commit: whatever kills its workers does it before that.
      if (next.turn.attempt <= this.ports.maxTurnAttempts) return this.started(next);
      this.current = progress.patched(next, progress.startTurn(next.turn), next.steps);
      return this.commit(givenUp(this.current, next.turn.attempt));
    }
    return undefined;
  }

  /** The takeovers so far count for the first turn that is tried. */
  private takeTakeovers(): number {
    const { takeovers } = this;
    this.takeovers = 0;
    return takeovers;
  }

  /** The next turn's first step, if the turn may begin quietly. */
  private nextQuietStep(): StepRow | undefined {
    const open = this.work.next;
    return !open || this.takeovers >= this.ports.maxTurnAttempts ? undefined : quietFirstStep(open);
  }

  /**
   * Runs turns that only read, one after the other, and writes them with what came of them in one commit. One that lasts, or
   * goes on after its first step, is written with them as running; it lasts sooner when others wait for it. Returns the step it is
   * at, or undefined when the run is over.
   */
  private async beginQuietly(begin: StepRow): Promise<StepRow | undefined | 'another'> {
    const ended: QuietTurn[] = [];
    const quiet = new QuietTime();
    try {
      for (let first: StepRow | undefined = begin; first; first = this.nextQuietStep()) {
        const open = counted(this.work.take() as OpenTurn, this.takeTakeovers());
        this.course.begin(open.turn);
        this.current = progress.patched(open, progress.startTurn(open.turn), [first]);
        const executing = this.execute(first);
        const report = await quiet.whileQuiet(executing);
        if (this.lost) return undefined;
        if (!report) this.underWay = executing;
        const came = report && this.course.afterStep(this.current, first, report);
        if (came?.rest !== 'ended') return await this.goOn(ended, open, first, came);
        quiet.hold();
        ended.push({ turn: open.turn, came, start: startOf(open, first, came) });
        this.current = undefined;
      }
    } finally {
      quiet.clear();
    }
    const more = this.work.next !== undefined;
    await this.writeQuiet(ended, undefined, more ? 'keep' : 'release');
    return more ? 'another' : undefined;
  }

  /** Writes a quiet turn as running, and those that ended before it. */
  private async goOn(
    ended: readonly QuietTurn[],
    open: OpenTurn,
    first: StepRow,
    came: Continuation | undefined,
  ): Promise<StepRow | undefined | 'another'> {
    // What it waits for, if it does, is another commit's: the turn has to be running for that.
    const rows = came?.step ? came.rows : [first];
    const start = startOf(open, first, came?.step && came);
    const written = await this.writeQuiet(ended, start, 'keep');
    if (!written.applied) return undefined;
    if (!written.started.includes(open.turn.turn_id)) {
      this.stepAbort.abort('cancelled' satisfies AbortReason);
      await this.underWay;
      this.underWay = undefined;
      this.current = undefined;
      return 'another';
    }
    this.current = progress.patched(open, progress.startTurn(open.turn), merged(open.steps, rows));
    return came && !came.step ? this.commit(came) : rows.at(-1);
  }

  private async writeQuiet(
    ended: readonly QuietTurn[],
    begun: TurnStart | undefined,
    next: 'keep' | 'release',
  ): Promise<Written> {
    const written = await this.submitWrite({
      write: { token: this.token, steps: [], messages: [], next: { kind: next }, ...this.ref },
      events: [],
      starts: [...ended.map(({ start }) => start), ...(begun ? [begun] : [])],
    });
    for (const { turn, came } of ended) {
      if (written.started.includes(turn.turn_id)) this.tellEnd(turn, came.change);
    }
    return written;
  }

  private async release(): Promise<void> {
    // A turn that was begun earlier is not pending any more: nothing else would make its conversation ready again.
    const next = this.work.leavesBegun ? ({ kind: 'retry', dueMs: 0 } as const) : ({ kind: 'release' } as const);
    const write = { token: this.token, steps: [], messages: [], next, ...this.ref };
    await this.submitWrite({ write, events: [], starts: [] });
  }

  /** Goes on with a turn whose start is written; one with nothing left to run ends here. */
  private async started(open: OpenTurn): Promise<StepRow | undefined> {
    const step = firstStep(open);
    this.course.begin(open.turn);
    this.current = progress.patched(open, progress.startTurn(open.turn), merged(open.steps, step ? [step] : []));
    return step ?? this.commit(this.course.proceed(this.current, []));
  }

  private settle(step: StepRow, report: StepReport): Promise<StepRow | undefined> {
    return this.commit(this.course.afterStep(this.openTurn(), step, report));
  }

  /** Commits a continuation; where the turn ended, the next one starts in the same commit, unless it begins quietly. */
  private async commit(next: Continuation): Promise<StepRow | undefined> {
    const open = this.openTurn();
    const quietly = next.rest === 'ended' && this.nextQuietStep() !== undefined;
    const following = next.rest === 'ended' && !quietly ? this.work.takeNext() : undefined;
    const inputs = following ? await this.waiting.collected(following) : await this.waiting.steered(open.turn, next);
    const written = await this.submit({ ...next, ...inputs }, following, quietly);
    if (!written.applied) return undefined;
    this.current = progress.patched(open, next.change, merged(open.steps, next.rows));
    if (next.rest === 'ended') this.ended(open.turn, next.change);
    if (next.step) return next.step;
    if (quietly) return this.begin();
    if (!following) return undefined;
    return written.started.length > 0 ? this.started(following) : this.begin();
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
      this.work.drop(turn.turn_id);
    }
  }

  private ended(turn: TurnRow, change: TurnChange): void {
    this.tellEnd(turn, change);
    this.current = undefined;
  }

  private tellEnd(turn: TurnRow, change: TurnChange): void {
    const status = change.patch?.status ?? turn.status;
    this.ports.observer.turnSettled({ turnId: turn.turn_id, conversationKey: turn.conversation_key, status });
    this.ports.execution.ended(turn, status);
  }

  /** `keeps`: the lease is kept though no turn starts in this commit. */
  private async submit(next: Continuation, following: OpenTurn | undefined, keeps = false): Promise<Written> {
    const { inputs, wait } = next;
    const ending = next.rest === 'ended' ? this.current?.turn : undefined;
    const arrival = ending && arrivalOfEnd(ending, next.change.patch?.status ?? ending.status);
    const written = await this.submitWrite({
      write: {
        token: this.token,
        ...(next.change.patch ? { turn: next.change.patch } : {}),
        steps: next.rows.map(progress.stepWrite),
        messages: next.change.messages,
        ...(next.dead ? { dead: next.dead } : {}),
        ...(wait && this.current ? { wait: { ...wait, turnId: this.current.turn.turn_id } } : {}),
        ...(inputs ? { inputs: { ...inputs, turnIds: inputs.turns.map((turn) => turn.turn_id) } } : {}),
        next: nextState(next, keeps || following !== undefined),
        ...this.ref,
      },
      events: [...next.events, ...next.change.events],
      starts: following ? [startOf(following, firstStep(following))] : [],
      ...(next.post ? { post: next.post } : {}),
      ...(next.alongside ? { alongside: next.alongside } : {}),
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
