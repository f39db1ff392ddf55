import {
  CHILDREN,
  isEnded,
  nextMove,
  type ModelConversation,
  type ModelStep,
  type ModelTurn,
  type ModelWait,
} from './model-turns';
import type { TurnModel } from './turn-model';

export const MAX_TURN_ATTEMPTS = 2;
export const MAX_STEP_ATTEMPTS = 2;
export const TURNS_PER_CLAIM = 3;

/** What a step can come to. `ask`: a model call that wants a tool. */
export type Outcome =
  | 'succeed'
  | 'ask'
  | 'fail'
  | 'fail_for_now'
  | 'unknown'
  | 'start_child'
  | { readonly signal: 's' | 't'; readonly timed: boolean };

/**
 * One conversation under one lease, without a database: it goes on from turn to turn until a step has to be answered, the
 * work is done, or the lease turns out to be another's.
 */
export class ModelRun {
  current: ModelTurn | undefined;
  over = false;
  /** The step it is at, whatever became of its turn since. */
  private at = 0;
  readonly owner: ModelConversation['owner'];
  private readonly token: number;
  private readonly mode: ModelConversation['mode'];
  /** The turns there were when the conversation was taken. */
  private readonly work: ModelTurn[];
  private takeovers: number;

  constructor(
    private readonly model: TurnModel,
    readonly conversation: ModelConversation,
  ) {
    this.owner = conversation.owner;
    this.token = conversation.token;
    this.mode = conversation.mode;
    this.takeovers = conversation.takeovers;
    this.work = model.open(conversation.key).slice(0, TURNS_PER_CLAIM);
  }

  seen(): unknown {
    return `${this.owner} ${this.conversation.key} ${this.token}: ${this.turn().name}/${this.at}`;
  }

  holds(): boolean {
    const { state, token } = this.conversation;
    return state === 'leased' && token === this.token;
  }

  /** Starts or resumes turns until one has a step to be answered. */
  begin(): void {
    this.current = undefined;
    while (!this.over) {
      const turn = this.work.shift();
      if (!this.holds()) return this.fence();
      if (!turn) {
        this.over = true;
        return this.model.release(this.conversation);
      }
      if (turn.status === 'running' || turn.status === 'paused') return this.resume(turn);
      const attempt = Math.max(turn.attempt, 1 + this.takeTakeovers());
      // Cancelled, or its input was taken, since the conversation was.
      if (turn.status !== 'queued') continue;
      return this.start(turn, attempt);
    }
  }

  /** The step is answered. */
  settle(outcome: Outcome): void {
    const turn = this.turn();
    const step = turn.steps.at(-1) as ModelStep;
    // Among the children it would wait for what is behind itself.
    const started = outcome === 'start_child' && turn.key !== CHILDREN ? this.startChild(turn) : undefined;
    if (!this.holds()) return this.fence();
    if (outcome === 'fail_for_now' && step.attempts < MAX_STEP_ATTEMPTS) {
      return this.pause(turn, step, { kind: 'timer', id: '', timed: true });
    }
    if (outcome === 'unknown' && step.does !== 'model') return this.park(turn, step);
    if (started) return this.pause(turn, step, { kind: 'turn', id: `turn ${started.name}`, timed: false });
    if (typeof outcome === 'object') {
      const id = `signal ${outcome.signal} of ${turn.key}`;
      return this.pause(turn, step, { kind: 'signal', id, timed: outcome.timed });
    }
    step.status = outcome === 'fail' || outcome === 'fail_for_now' ? 'failed' : 'succeeded';
    step.asks = outcome === 'ask' && step.does === 'model';
    this.proceed(turn);
  }

  /** Word has come that its turn shall stop. */
  cancel(): void {
    if (!this.holds()) return this.fence();
    this.stop(this.turn());
  }

  private turn(): ModelTurn {
    if (!this.current) throw new Error('a run that is at rest is at a step');
    return this.current;
  }

  private fence(): void {
    this.over = true;
    this.model.fenced += 1;
  }

  private takeTakeovers(): number {
    const { takeovers } = this;
    this.takeovers = 0;
    return takeovers;
  }

  private start(turn: ModelTurn, attempt: number): void {
    this.current = turn;
    Object.assign(turn, { status: 'running', attempt });
    this.conversation.takeovers = 0;
    const last = turn.steps.at(-1);
    const move = last && !isEnded(last) ? undefined : nextMove(turn);
    if (last && !move) Object.assign(last, { status: 'running', attempts: last.attempts + 1 });
    if (move?.kind === 'step') turn.steps.push(move.step);
    this.model.tell(turn, 'turn.started');
    if (this.mode === 'collect' && turn.kind === 'chat') this.take(turn, null, true);
    if (move?.kind === 'finish') return this.finish(turn, move.status);
    if (attempt > MAX_TURN_ATTEMPTS) return this.giveUp(turn, attempt);
    this.atStep(turn);
  }

  private resume(turn: ModelTurn): void {
    this.current = turn;
    const takeovers = this.takeTakeovers();
    if (turn.cancelRequested) return this.stop(turn);
    const attempt = Math.max(turn.status === 'running' ? turn.attempt + 1 : turn.attempt, 1 + takeovers);
    if (attempt > MAX_TURN_ATTEMPTS) return this.giveUp(turn, attempt);
    const { wait } = turn;
    Object.assign(turn, { status: 'running', attempt, wait: undefined });
    this.model.tell(turn, 'turn.resumed');
    const step = turn.steps.at(-1);
    if (!step || isEnded(step)) return this.proceed(turn);
    if (wait?.kind === 'signal' || wait?.kind === 'turn') return this.afterWait(turn, step, wait);
    if (step.status === 'running' && step.does === 'once') return this.park(turn, step);
    Object.assign(step, { status: 'running', attempts: step.attempts + 1 });
    this.steer(turn);
    this.atStep(turn);
  }

  private afterWait(turn: ModelTurn, step: ModelStep, wait: ModelWait): void {
    const arrived = this.model.arrived(wait.id);
    if (arrived === undefined && !wait.timed) return this.pause(turn, step, wait);
    step.status = arrived === true ? 'succeeded' : 'failed';
    this.proceed(turn);
  }

  /** The steps so far are settled. */
  private proceed(turn: ModelTurn): void {
    const move = nextMove(turn);
    if (move.kind === 'finish') return this.finish(turn, move.status);
    turn.steps.push(move.step);
    this.steer(turn);
    this.atStep(turn);
  }

  private atStep(turn: ModelTurn): void {
    const step = turn.steps.at(-1);
    this.at = turn.steps.length - 1;
    if (step?.does !== 'quick') return;
    if (!this.holds()) return this.fence();
    step.status = 'succeeded';
    this.proceed(turn);
  }

  private finish(turn: ModelTurn, status: 'succeeded' | 'failed'): void {
    this.model.end(turn, status);
    this.begin();
  }

  private stop(turn: ModelTurn): void {
    for (const step of turn.steps) if (!isEnded(step)) step.status = 'cancelled';
    this.model.end(turn, 'cancelled');
    this.begin();
  }

  private giveUp(turn: ModelTurn, attempt: number): void {
    turn.dead = { attempts: attempt - 1, redrivenAs: null };
    this.finish(turn, 'failed');
  }

  /** Waits for an operator. */
  private park(turn: ModelTurn, step: ModelStep): void {
    step.status = 'paused';
    Object.assign(turn, { status: 'paused', wait: { kind: 'manual', id: '', timed: false } });
    this.model.tell(turn, 'turn.blocked');
    this.over = true;
    this.model.rest(this.conversation, 'parked', false);
  }

  /** Waits for time or for something to arrive, without a lease. */
  private pause(turn: ModelTurn, step: ModelStep, wait: ModelWait): void {
    step.status = 'paused';
    Object.assign(turn, { status: 'paused', wait });
    this.over = true;
    const arrived = wait.kind !== 'timer' && this.model.park(turn, wait.id);
    this.model.rest(this.conversation, arrived || wait.timed ? 'ready' : 'parked', arrived);
  }

  private startChild(parent: ModelTurn): ModelTurn {
    return this.model.enqueue({ key: CHILDREN, kind: 'workflow', plan: ['once'], parent, origin: undefined });
  }

  /** Before its next model call a reply takes what was said meanwhile. */
  private steer(turn: ModelTurn): void {
    const steers = this.mode === 'steer' || this.mode === 'steer_backlog';
    if (steers && turn.kind === 'chat' && turn.steps.at(-1)?.does === 'model') {
      this.take(turn, turn.steps.length - 1, this.mode === 'steer');
    }
  }

  private take(turn: ModelTurn, step: number | null, settle: boolean): void {
    const waiting = this.model
      .open(turn.key)
      .filter(
        (one) =>
          one.status === 'queued' &&
          one.kind === 'chat' &&
          !one.deliveredTo &&
          !one.parent &&
          !one.origin &&
          one !== turn,
      );
    for (const input of waiting) {
      Object.assign(input, { deliveredTo: turn, deliveredStep: step });
      if (settle) this.model.end(input, 'succeeded');
    }
  }
}
