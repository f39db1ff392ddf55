/*
 * How a process stops. Order is the whole point: a pool closed before the work that uses it turns a clean stop into
 * failed turns, and a socket closed before its turn has settled loses the answer.
 *
 *   running ─signal─▶ stopAccepting ─▶ stopClaiming ─▶ finishWork ─▶ closeSockets ─▶ closePools ─▶ exit
 *                     not ready, still  loops take     running turns  1012 to        database,
 *                     serving           nothing new    settle or park clients        Redis
 *
 * There is one budget for all of it. Each phase has an instant, a share of the budget, by which it must have ended; what
 * a phase leaves over goes to the later ones. One deadline only at the very end was rejected: a single hanging turn
 * would eat it, and the pools would never be closed nor leases released. A participant that is late or fails is logged
 * and left behind, and the next phase begins.
 */
import type { Logger } from './logging';

/** When each phase must have ended, as a share of the budget. The rest is for the process to exit in. */
const ENDS_BY = { stopAccepting: 0.2, stopClaiming: 0.3, finishWork: 0.8, closeSockets: 0.92, closePools: 0.97 };

/** A step of the stop, in this order. */
export type DrainPhase = keyof typeof ENDS_BY;

/** Stops one thing. The signal aborts when its phase is over: give up then, what is not done is left behind. */
export type DrainWork = (signal: AbortSignal) => void | Promise<void>;

interface Participant {
  readonly phase: DrainPhase;
  readonly name: string;
  readonly work: DrainWork;
}

const PHASES = Object.keys(ENDS_BY) as DrainPhase[];

/** Runs the stop of one process, once. Whoever owns something that must stop registers it and is called in its phase. */
export class DrainSequence {
  readonly #participants: Participant[] = [];
  readonly #left: DrainPhase[] = [...PHASES];
  readonly #logger: Logger;
  readonly #budgetMs: number;
  readonly #now: () => number;
  #startedAt: number | undefined;
  #tail: Promise<void> = Promise.resolve();
  #clean = true;

  /** @param options.budgetMs time for the whole stop; `now` is monotonic milliseconds */
  constructor(options: { budgetMs: number; logger: Logger; now?: () => number }) {
    this.#budgetMs = options.budgetMs;
    this.#logger = options.logger;
    this.#now = options.now ?? (() => performance.now());
  }

  /** True from the first moment of the stop. */
  get draining(): boolean {
    return this.#startedAt !== undefined;
  }

  /** False once a participant has failed or was left behind. */
  get clean(): boolean {
    return this.#clean;
  }

  /** Has `work` called in `phase`, in parallel with the others of that phase. Throws when that phase has begun. */
  register(phase: DrainPhase, name: string, work: DrainWork): void {
    if (!this.#left.includes(phase)) throw new Error(`${name} registered for ${phase} after it had begun`);
    this.#participants.push({ phase, name, work });
  }

  /** Starts the budget's clock. Later calls change nothing. */
  start(): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = this.#now();
    this.#logger.info({ budget_ms: this.#budgetMs }, 'draining');
  }

  /** Runs every phase up to and including this one that has not run yet, in order. Never rejects. */
  runThrough(phase: DrainPhase): Promise<void> {
    this.start();
    this.#tail = this.#tail.then(async () => {
      const last = PHASES.indexOf(phase);
      for (const next of this.#left.filter((left) => PHASES.indexOf(left) <= last)) {
        this.#left.shift();
        await this.#runPhase(next);
      }
    });
    return this.#tail;
  }

  async #runPhase(phase: DrainPhase): Promise<void> {
    const beganAt = this.#now();
    const endsInMs = Math.max(0, (this.#startedAt ?? beganAt) + ENDS_BY[phase] * this.#budgetMs - beganAt);
    const abort = new AbortController();
    const pending = new Set(this.#participants.filter((participant) => participant.phase === phase));
    const participants = pending.size;
    const runs = [...pending].map((participant) =>
      this.#run(participant, abort.signal).finally(() => pending.delete(participant)),
    );
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, endsInMs)));
    await Promise.race([Promise.all(runs), over]);
    clearTimeout(timer);
    for (const { name } of pending) {
      this.#clean = false;
      this.#logger.error({ phase, participant: name }, 'drain participant left behind');
    }
    abort.abort();
    const duration_ms = Math.round(this.#now() - beganAt);
    this.#logger.debug({ phase, participants, duration_ms }, 'drain phase over');
  }

  async #run({ phase, name, work }: Participant, signal: AbortSignal): Promise<void> {
    try {
      await work(signal);
    } catch (error) {
      // Being told to give up and saying so is no second failure: the phase has already been logged as late.
      if (signal.aborted) return;
      this.#clean = false;
      this.#logger.error({ phase, participant: name, err: error }, 'drain participant failed');
    }
  }
}
