import { randomUUID } from 'node:crypto';
import { LocalBackplane, type Backplane } from '@tyrum/backplane';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { Leases, LossLog } from '@tyrum/leases';
import { DEFAULT_TENANT_ID, payloadFingerprint, type Action, type TurnBudgets } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { ApprovalStore, ConversationStore, TurnStore, type QueueSettings } from '@tyrum/statestore/turns';
import {
  ApprovalGate,
  Approvals,
  Conversations,
  StepExecution,
  TurnControl,
  TurnIntake,
  TurnProcessor,
  TurnReader,
  TurnRedrive,
  TurnWriter,
  Waits,
  type AcceptOutcome,
  type GatePolicy,
  type ModelPrice,
  type ProcessorObserver,
  type StepContext,
  type StepExecutor,
  type StepOutcome,
  type StepRequest,
} from '../index';

/** Runs steps as a test says, and remembers which ones it was asked to run. */
export class ScriptedExecutor implements StepExecutor {
  readonly requests: StepRequest[] = [];
  recovery: StepOutcome | undefined;

  constructor(private readonly script: (request: StepRequest, context: StepContext) => Promise<StepOutcome>) {}

  handles(): boolean {
    return true;
  }

  execute(request: StepRequest, context: StepContext): Promise<StepOutcome> {
    this.requests.push(request);
    return this.script(request, context);
  }

  recover(): Promise<StepOutcome | undefined> {
    return Promise.resolve(this.recovery);
  }
}

/** Remembers what a processor reported. */
export class RecordingObserver implements ProcessorObserver {
  readonly fenced: number[] = [];
  readonly lost: number[] = [];
  readonly troubles: { what: string; error: unknown }[] = [];
  takenOver = 0;

  conversationsClaimed(_count: number, takenOver: number): void {
    this.takenOver += takenOver;
  }
  stepSettled(): void {}
  turnSettled(): void {}
  writeFenced({ token }: { token: number }): void {
    this.fenced.push(token);
  }
  leaseLost({ token }: { token: number }): void {
    this.lost.push(token);
  }
  trouble(what: string, error: unknown): void {
    this.troubles.push({ what, error });
  }
}

const STAMPS = { newId: randomUUID, nowMs: () => Date.now() };

/** The engine on one store, as one process has it. */
export class TestEngine {
  readonly turns: TurnStore;
  readonly intake: TurnIntake;
  readonly control: TurnControl;
  readonly reader: TurnReader;
  readonly redrives: TurnRedrive;
  readonly waits: Waits;
  readonly writer: TurnWriter;
  readonly approvals: Approvals;
  readonly conversations: Conversations;
  private readonly processors: TurnProcessor[] = [];

  constructor(
    readonly store: StateStore,
    readonly backplane: Backplane = new LocalBackplane(),
    private readonly modelPrice?: ModelPrice,
  ) {
    this.turns = new TurnStore(store);
    this.intake = new TurnIntake(store, this.turns, new IdempotencyLedger(), backplane, STAMPS);
    this.writer = new TurnWriter(store, this.turns, backplane, STAMPS);
    this.control = new TurnControl(store, this.turns, this.writer, backplane, modelPrice);
    this.redrives = new TurnRedrive(this.turns, STAMPS);
    this.waits = new Waits(store, this.turns, backplane);
    this.approvals = new Approvals({ store, turns: this.turns, approvals: new ApprovalStore(), stamps: STAMPS });
    this.reader = new TurnReader(store, this.turns);
    this.conversations = new Conversations(store, this.turns, new ConversationStore(), backplane, STAMPS);
  }

  /** Starts a worker's loop. */
  process(
    executor: StepExecutor,
    options: {
      owner?: string;
      leaseTtlMs?: number;
      concurrency?: number;
      sliceMs?: number;
      observer?: ProcessorObserver;
      policy?: Partial<GatePolicy>;
      /** As where edge and worker are one process. */
      claimsAlong?: boolean;
    } = {},
  ): TurnProcessor {
    const gate = new ApprovalGate(
      { store: this.store, turns: this.turns, approvals: new ApprovalStore(), stamps: STAMPS },
      { tools: new Set(), ttlMs: 60_000, ...options.policy },
    );
    const ports = {
      writer: this.writer,
      execution: new StepExecution(executor, this.store, new ConversationStore(), this.backplane, gate),
      gate,
      observer: options.observer ?? new RecordingObserver(),
      retry: { maxAttempts: 3, baseMs: 20, maxMs: 100 },
      random: Math.random,
      maxTurnAttempts: 5,
      sliceMs: options.sliceMs ?? Infinity,
      ...(this.modelPrice ? { modelPrice: this.modelPrice } : {}),
    };
    const owner = options.owner ?? randomUUID();
    const onError = (error: unknown) => ports.observer.trouble('note_loss', error);
    const processor = new TurnProcessor(
      this.turns,
      this.backplane,
      ports,
      { owner, leaseTtlMs: options.leaseTtlMs ?? 10_000, concurrency: options.concurrency ?? 50, turnsPerClaim: 20 },
      new LossLog(new Leases(this.store), { owner, onError }),
    );
    if (options.claimsAlong) this.intake.claimer = processor;
    processor.start();
    this.processors.push(processor);
    return processor;
  }

  /** Accepts a workflow and returns its turn's id. */
  async start(
    conversationKey: string,
    steps: readonly Action[],
    key: string = randomUUID(),
    budgets?: TurnBudgets,
  ): Promise<string> {
    const outcome = await this.accept(conversationKey, steps, key, budgets);
    if (outcome.kind !== 'accepted') throw new Error('not accepted');
    return (outcome.answer as { turn_id: string }).turn_id;
  }

  accept(
    conversationKey: string,
    steps: readonly Action[],
    key: string,
    budgets?: TurnBudgets,
  ): Promise<AcceptOutcome> {
    const turnId = randomUUID();
    return this.intake.accept({
      tenantId: DEFAULT_TENANT_ID,
      conversationKey,
      turnId,
      kind: 'workflow',
      triggerKind: 'workflow',
      input: { steps },
      ...(budgets ? { budgets } : {}),
      idempotency: {
        tenantId: DEFAULT_TENANT_ID,
        route: 'test',
        principal: 'test',
        key,
        fingerprint: payloadFingerprint({ conversationKey, steps }),
      },
      answer: { turn_id: turnId },
    });
  }

  /** Accepts a message to reply to and returns its turn's id. The message's id is its text. */
  async say(conversationKey: string, text: string, turnId: string = randomUUID()): Promise<string> {
    const request = { conversationKey, text };
    await this.intake.accept({
      tenantId: DEFAULT_TENANT_ID,
      conversationKey,
      turnId,
      kind: 'chat',
      triggerKind: 'message',
      input: {},
      message: { messageId: text, parts: [{ type: 'text', text }] },
      idempotency: {
        tenantId: DEFAULT_TENANT_ID,
        route: 'say',
        principal: 'test',
        key: turnId,
        fingerprint: payloadFingerprint(request),
      },
      answer: { turn_id: turnId },
    });
    return turnId;
  }

  async setQueue(conversationKey: string, queue: QueueSettings): Promise<void> {
    const ref = { tenantId: DEFAULT_TENANT_ID, conversationKey };
    await this.store.transaction(async (tx) => {
      await this.conversations.createIn(tx, ref);
      await this.conversations.setQueueIn(tx, ref, queue);
    });
  }

  async stop(): Promise<void> {
    for (const processor of this.processors) {
      await processor.stopClaiming();
      await processor.finish(AbortSignal.abort());
    }
  }
}

export function cliStep(cmd: string, effect?: 'read' | 'idempotent' | 'once'): Action {
  return { type: 'CLI', args: { cmd, args: [], ...(effect ? { effect } : {}) } } as Action;
}
