import { randomUUID } from 'node:crypto';
import { LocalBackplane, PostgresBackplane, type Backplane } from '@tyrum/backplane';
import {
  DEFAULT_RETRY,
  StepExecution,
  TurnIntake,
  TurnProcessor,
  TurnWriter,
  type AcceptRequest,
  type ProcessorObserver,
  type StepExecutor,
} from '@tyrum/execution';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { Leases, LossLog } from '@tyrum/leases';
import { createLogger, Metrics } from '@tyrum/platform';
import { DEFAULT_TENANT_ID, LIMITS, payloadFingerprint, type Action } from '@tyrum/protocol';
import { openStateStore, PostgresNotifications, type StateStore, type Statement } from '@tyrum/statestore';
import { ConversationStore, TurnStore } from '@tyrum/statestore/turns';
import { WorkerObserver } from '../../libs/tools/src/worker-observer';
import type {
  Contender,
  ContenderDatabase,
  Job,
  OpenContender,
  RunningWorker,
  StepHandler,
  WorkOptions,
} from './contender';

const STAMPS = { newId: randomUUID, nowMs: () => Date.now() };
/** As the worker's app has them. */
const MAX_TURN_ATTEMPTS = 10;
const LEASE_TTL_MS = 30_000;
const PRELOAD_IN_FLIGHT = 5_000;

const openTurns: Statement = {
  name: 'bench-open-turns',
  postgres: `select count(*)::int as n from turn where status in ('queued', 'running', 'paused')`,
  sqlite: `select count(*) as n from turn where status in ('queued', 'running', 'paused')`,
};

/** The parts of the production engine, put together as `ControlPlaneModule` and `WorkerLoopModule` do. */
export class Engine implements OpenContender {
  readonly turns: TurnStore;
  readonly ledger = new IdempotencyLedger();
  readonly intake: TurnIntake;
  private readonly writer: TurnWriter;

  private constructor(
    readonly store: StateStore,
    readonly backplane: Backplane,
  ) {
    this.turns = new TurnStore(store);
    this.intake = new TurnIntake(store, this.turns, this.ledger, backplane, STAMPS);
    this.writer = new TurnWriter(store, this.turns, backplane, STAMPS);
  }

  static async open({ kind, address }: ContenderDatabase): Promise<Engine> {
    if (kind === 'sqlite') return new Engine(await openStateStore({ kind, path: address }), new LocalBackplane());
    const store = await openStateStore({ kind: 'postgres', url: address }, { applicationName: 'tyrum-bench' });
    // Without a listener of its errors a lost connection is only polled for: it shows as latency, which is what we measure.
    const backplane = new PostgresBackplane(new PostgresNotifications({ url: address }));
    return new Engine(store, backplane);
  }

  async accept(job: Job): Promise<void> {
    const outcome = await this.intake.accept(toRequest(job));
    if (outcome.kind !== 'accepted') throw new Error(`the turn was not accepted: ${outcome.kind}`);
  }

  async preload(jobs: readonly Job[]): Promise<void> {
    for (let i = 0; i < jobs.length; i += PRELOAD_IN_FLIGHT) {
      await Promise.all(jobs.slice(i, i + PRELOAD_IN_FLIGHT).map((job) => this.accept(job)));
    }
  }

  work(handler: StepHandler, options: WorkOptions): Promise<RunningWorker> {
    const executor: StepExecutor = {
      handles: () => true,
      execute: async ({ turnId, stepIndex, conversationKey }) => {
        await handler({ id: turnId, key: keyOf(conversationKey) }, stepIndex);
        return { kind: 'succeeded', result: {} };
      },
    };
    return Promise.resolve(this.startProcessor(executor, options));
  }

  /** Starts the worker's loop with this executor. */
  startProcessor(
    executor: StepExecutor,
    { concurrency, onSettled }: WorkOptions,
    leaseTtlMs: number = LEASE_TTL_MS,
    watch?: Partial<ProcessorObserver>,
  ): RunningWorker {
    const owner = `bench-${process.pid}`;
    const processor = new TurnProcessor(
      this.turns,
      this.backplane,
      {
        writer: this.writer,
        execution: new StepExecution(executor, this.store, new ConversationStore(), this.backplane),
        observer: watched(onSettled, watch),
        retry: DEFAULT_RETRY,
        random: Math.random,
        maxTurnAttempts: MAX_TURN_ATTEMPTS,
        sliceMs: LIMITS.claimSliceMs,
      },
      { owner, leaseTtlMs, concurrency, turnsPerClaim: LIMITS.claimTurnsPerConversation },
      new LossLog(new Leases(this.store), { owner, onError: () => undefined }),
    );
    this.intake.claimer = processor;
    processor.start();
    return {
      stop: async () => {
        await processor.stopClaiming();
        await processor.finish(AbortSignal.timeout(10_000));
      },
    };
  }

  async remaining(): Promise<number> {
    const [row] = await this.store.read((db) => db.query<{ n: number }>(openTurns));
    return row?.n ?? 0;
  }

  async close(): Promise<void> {
    await this.intake.idle();
    await this.writer.idle();
    await this.backplane.close();
    await this.store.close();
  }
}

/** Production's observer with its metrics, and the bench's own eyes beside it. */
function watched(onSettled: WorkOptions['onSettled'], watch: Partial<ProcessorObserver> = {}): ProcessorObserver {
  const logger = createLogger({ app: 'worker', instanceId: `bench-${process.pid}`, logLevel: 'error' });
  const own = new WorkerObserver(new Metrics(), logger);
  return {
    conversationsClaimed: (count, takenOver) => {
      own.conversationsClaimed(count, takenOver);
      watch.conversationsClaimed?.(count, takenOver);
    },
    stepSettled: (step) => own.stepSettled(step),
    turnSettled: (turn) => {
      own.turnSettled(turn);
      onSettled?.(turn.turnId);
    },
    writeFenced: (lease) => {
      own.writeFenced(lease);
      watch.writeFenced?.(lease);
    },
    leaseLost: (lease) => {
      own.leaseLost(lease);
      watch.leaseLost?.(lease);
    },
    trouble: (what, error) => {
      own.trouble(what, error);
      process.stderr.write(`trouble: ${what}: ${String(error)}\n`);
    },
  };
}

const PREFIX = 'agent:default:dm:';

function keyOf(conversationKey: string): string {
  return conversationKey.slice(PREFIX.length);
}

/** A turn of read-only steps: one that could have an effect would have its intent looked up after a crash. */
function actionOf(step: number): Action {
  return { type: 'CLI', args: { cmd: 'true', args: [String(step)], effect: 'read' } } as Action;
}

/** A job without a key is a conversation of its own. */
export function toRequest({ id, key, steps = 1 }: Job, action: (step: number) => Action = actionOf): AcceptRequest {
  const conversationKey = PREFIX + (key ?? id);
  const input = { steps: Array.from({ length: steps }, (_, step) => action(step)) };
  return {
    tenantId: DEFAULT_TENANT_ID,
    conversationKey,
    turnId: id,
    kind: 'workflow',
    triggerKind: 'workflow',
    input,
    idempotency: {
      tenantId: DEFAULT_TENANT_ID,
      route: 'workflow.start',
      principal: 'bench',
      key: id,
      fingerprint: payloadFingerprint({ conversationKey, ...input }),
    },
    answer: { turn_id: id, conversation_key: conversationKey },
  };
}

export const tyrum: Contender = {
  name: 'tyrum',
  open: ({ database }) => Engine.open(database),
  openSockets: async (options) => (await import('./edge-sockets')).openEdges(options),
};
