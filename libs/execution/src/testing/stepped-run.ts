import { randomUUID } from 'node:crypto';
import { ConversationStore, type ClaimedConversation, type OpenTurn, type Written } from '@tyrum/statestore/turns';
import { ConversationRun } from '../conversation-run';
import { StepExecution } from '../step-execution';
import type { StepContext, StepExecutor, StepOutcome, StepRequest } from '../step-executor';
import { TurnWriter, type TurnWrite } from '../turn-writer';
import { MAX_STEP_ATTEMPTS, MAX_TURN_ATTEMPTS } from './model-run';
import { RecordingObserver, type TestEngine } from './test-engine';

/** Longer than any test: what waits for time is made due by hand. */
const NEVER_MS = 3_600_000;

type Intent = Pick<StepRequest, 'turnId' | 'stepIndex' | 'attempt'>;

/** A step that waits for its answer. */
export interface OpenStep {
  readonly request: StepRequest;
  readonly answer: (outcome: StepOutcome) => void;
}

/**
 * The writer of one worker. It remembers which intents are committed, because a step that reads may begin before its own is.
 */
export class WatchedWriter extends TurnWriter {
  private readonly committed = new Set<string>();
  private tell: () => void = () => {};
  /** Resolves at the next commit. */
  private next = this.nextCommit();

  static of({ store, turns, backplane }: TestEngine): WatchedWriter {
    return new WatchedWriter(store, turns, backplane, { newId: randomUUID, nowMs: () => Date.now() });
  }

  get committing(): Promise<void> {
    return this.next;
  }

  override async submit(write: TurnWrite): Promise<Written> {
    const written = await super.submit(write);
    const steps = written.applied
      ? [
          ...write.write.steps,
          ...write.starts.filter(({ turn }) => written.started.includes(turn.turnId)).flatMap((start) => start.steps),
        ]
      : [];
    for (const step of steps.filter(({ status }) => status === 'running')) {
      this.committed.add(JSON.stringify([step.turn_id, step.step_index, step.attempts]));
    }
    this.tell();
    this.next = this.nextCommit();
    return written;
  }

  private nextCommit(): Promise<void> {
    return new Promise((resolve) => (this.tell = resolve));
  }

  has({ turnId, stepIndex, attempt }: Intent): boolean {
    return this.committed.has(JSON.stringify([turnId, stepIndex, attempt]));
  }
}

/** Answers what is quick at once; anything else waits for its answer by hand. */
class HandExecutor implements StepExecutor {
  open: OpenStep | undefined;
  onOpen: () => void = () => {};

  constructor(private readonly onRequest: (request: StepRequest) => void) {}

  handles(): boolean {
    return true;
  }

  execute(request: StepRequest, { signal }: StepContext): Promise<StepOutcome> {
    this.onRequest(request);
    if (doesOf(request) === 'quick') return Promise.resolve({ kind: 'succeeded', result: {} });
    return new Promise((resolve) => {
      const answer = (outcome: StepOutcome) => {
        this.open = undefined;
        resolve(outcome);
      };
      this.open = { request, answer };
      if (signal.aborted) return answer({ kind: 'interrupted' });
      signal.addEventListener('abort', () => answer({ kind: 'interrupted' }));
      this.onOpen();
    });
  }
}

/** What the step's command says it is: `quick`, `read`, `idempotent`, `once`; or `model`. */
export function doesOf({ action }: Pick<StepRequest, 'action'>): string {
  return action.type === 'CLI' ? action.args.cmd : 'model';
}

/** A conversation's run that stands still at each step until it is answered. */
export class SteppedRun {
  private readonly executor: HandExecutor;
  private readonly observer = new RecordingObserver();
  readonly run: ConversationRun;
  private readonly done: Promise<void>;
  over = false;

  constructor(
    readonly owner: string,
    readonly claimed: ClaimedConversation,
    work: OpenTurn[],
    private readonly writer: WatchedWriter,
    { engine, onRequest }: { readonly engine: TestEngine; readonly onRequest: (request: StepRequest) => void },
  ) {
    this.executor = new HandExecutor(onRequest);
    const { store, backplane } = engine;
    this.run = new ConversationRun(claimed, work, {
      writer,
      execution: new StepExecution(this.executor, store, new ConversationStore(), backplane),
      observer: this.observer,
      retry: { maxAttempts: MAX_STEP_ATTEMPTS, baseMs: NEVER_MS, maxMs: NEVER_MS },
      random: () => 1,
      maxTurnAttempts: MAX_TURN_ATTEMPTS,
      sliceMs: Infinity,
    });
    this.done = this.run.run().finally(() => (this.over = true));
    // Whoever waits for it to come to rest is told of a throw.
    this.done.catch(() => undefined);
  }

  get step(): OpenStep | undefined {
    return this.executor.open;
  }

  get fenced(): number {
    return this.observer.fenced.length;
  }

  /** Resolves when the run is at a step whose intent is committed, or over. @throws what the run has thrown */
  async rest(): Promise<void> {
    while (!this.over && !(this.step && this.writer.has(intentOf(this.step)))) {
      const opened = new Promise<void>((resolve) => (this.executor.onOpen = resolve));
      await Promise.race([opened, this.writer.committing, this.done]);
    }
    if (this.over) await this.done;
  }
}

function intentOf({ request }: OpenStep): Intent {
  return request;
}
