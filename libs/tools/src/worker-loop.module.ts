import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Inject, Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { ArtifactStore, openBlobStore } from '@tyrum/evidence';
import {
  ApprovalGate,
  DEFAULT_RETRY,
  StepExecution,
  TurnIntake,
  TurnProcessor,
  TurnWriter,
  type StepExecutor,
} from '@tyrum/execution';
import { BACKPLANE, ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { Heartbeat, Leases, LossLog } from '@tyrum/leases';
import { DispatchLoop } from '@tyrum/nodes';
import { LIMITS } from '@tyrum/protocol';
import { CONFIG, DrainSequence, LOGGER, Metrics, type Config, type Logger } from '@tyrum/platform';
import { openKeyRing, SecretStore } from '@tyrum/secrets';
import type { StateStore } from '@tyrum/statestore';
import { ConversationStore, TurnStore } from '@tyrum/statestore/turns';
import { HttpExecutor } from './http-executor';
import { NoModel } from './no-model';
import { NodeExecutor } from './node-executor';
import { nodeProviders } from './node-providers';
import { SignalExecutor } from './signal-executor';
import { StepExecutors } from './step-executors';
import { StepSecrets } from './step-secrets';
import { ToolRunnerClient } from './tool-runner-client';
import { WorkerObserver } from './worker-observer';
import { WorkspaceExecutor } from './workspace-executor';

/** Injection token of what this process is given of the environment for its ToolRunner. */
const RUNNER_ENVIRONMENT = Symbol('tyrum.runner-environment');

/** Of the drain's time: steps that still run are stopped then, which leaves time to settle them before the phase ends (0.8). */
const INTERRUPT_AT = 0.65;
/** A turn whose worker died so often is not tried by another one. */
const MAX_TURN_ATTEMPTS = 10;

const artifacts: FactoryProvider<ArtifactStore> = {
  provide: ArtifactStore,
  inject: [STATE_STORE, CONFIG],
  useFactory: async (store: StateStore, config: Config) =>
    new ArtifactStore(store, await openBlobStore(config), {
      newId: randomUUID,
      nowMs: () => Date.now(),
      ...(config.maxStoredBytes === undefined ? {} : { maxStoredBytes: config.maxStoredBytes }),
    }),
};

const secrets: FactoryProvider<StepSecrets> = {
  provide: StepSecrets,
  inject: [STATE_STORE, CONFIG],
  useFactory: async (store: StateStore, config: Config) =>
    new StepSecrets(new SecretStore(store, await openKeyRing(config))),
};

const observer: FactoryProvider<WorkerObserver> = {
  provide: WorkerObserver,
  inject: [Metrics, LOGGER],
  useFactory: (metrics: Metrics, logger: Logger) => new WorkerObserver(metrics, logger),
};

const runner: FactoryProvider<ToolRunnerClient> = {
  provide: ToolRunnerClient,
  inject: [CONFIG, WorkerObserver, RUNNER_ENVIRONMENT],
  useFactory: (config: Config, watching: WorkerObserver, env: Readonly<Record<string, string | undefined>>) =>
    new ToolRunnerClient({
      // Bundled beside the app's own main.js.
      script: join(__dirname, 'tool-runner.js'),
      workspaceRoot: config.workspaceRoot,
      leaseTtlMs: config.leaseTtlMs,
      env,
      onExit: (code, signal) => watching.runnerExited(code, signal),
    }),
};

const executors: FactoryProvider<StepExecutors> = {
  provide: StepExecutors,
  inject: [ToolRunnerClient, ArtifactStore, CONFIG, NodeExecutor, StepSecrets],
  useFactory: async (
    client: ToolRunnerClient,
    store: ArtifactStore,
    { model, httpAllow }: Config,
    ...[nodes, opens]: [NodeExecutor, StepSecrets]
  ) =>
    new StepExecutors([
      new WorkspaceExecutor(client, store, opens),
      new HttpExecutor(store, new Set(httpAllow), opens),
      new SignalExecutor(),
      nodes,
      await modelExecutor(model),
    ]),
};

/** The model's package is loaded only where there is a model: without it a worker has 12 MiB less. */
async function modelExecutor(model: Config['model']): Promise<StepExecutor> {
  if (!model) return new NoModel();
  const { ModelExecutor } = await import(/* webpackMode: "eager" */ './model-executor');
  const apiKey = model.apiKey?.reveal();
  return new ModelExecutor({ baseUrl: model.baseUrl, model: model.name, ...(apiKey ? { apiKey } : {}) });
}

const execution: FactoryProvider<StepExecution> = {
  provide: StepExecution,
  inject: [StepExecutors, STATE_STORE, ConversationStore, BACKPLANE, ApprovalGate],
  useFactory: (
    steps: StepExecutors,
    store: StateStore,
    ...[conversations, backplane, gate]: [ConversationStore, Backplane, ApprovalGate]
  ) => new StepExecution(steps, store, conversations, backplane, gate),
};

const processor: FactoryProvider<TurnProcessor> = {
  provide: TurnProcessor,
  inject: [
    TurnStore,
    BACKPLANE,
    TurnIntake,
    TurnWriter,
    StepExecution,
    ApprovalGate,
    WorkerObserver,
    STATE_STORE,
    CONFIG,
    Heartbeat,
  ],
  useFactory: (
    turns: TurnStore,
    backplane: Backplane,
    ...[intake, writer, steps, gate, watching, store, config, heartbeat]: [
      TurnIntake,
      TurnWriter,
      StepExecution,
      ApprovalGate,
      WorkerObserver,
      StateStore,
      Config,
      Heartbeat,
    ]
  ) => {
    const loop = new TurnProcessor(
      turns,
      backplane,
      {
        writer,
        execution: steps,
        gate,
        observer: watching,
        retry: DEFAULT_RETRY,
        random: Math.random,
        maxTurnAttempts: MAX_TURN_ATTEMPTS,
        sliceMs: LIMITS.claimSliceMs,
        ...(config.model?.price ? { modelPrice: config.model.price } : {}),
      },
      {
        owner: config.instanceId,
        leaseTtlMs: config.leaseTtlMs,
        concurrency: config.workerConcurrency,
        turnsPerClaim: LIMITS.claimTurnsPerConversation,
        beat: () => heartbeat.rider(),
      },
      new LossLog(new Leases(store), {
        owner: config.instanceId,
        onError: (error) => watching.trouble('note_loss', error),
      }),
    );
    intake.claimer = loop;
    return loop;
  },
};

/** Runs the worker's loop in this process, from its start to its drain. */
@Module({})
export class WorkerLoopModule {
  /** @param env the process's environment, of which commands see only what is harmless */
  static forRoot(env: Readonly<Record<string, string | undefined>>): DynamicModule {
    return {
      module: WorkerLoopModule,
      imports: [ControlPlaneModule],
      providers: [
        { provide: RUNNER_ENVIRONMENT, useValue: env },
        artifacts,
        secrets,
        observer,
        runner,
        ...nodeProviders,
        executors,
        execution,
        processor,
      ],
    };
  }

  constructor(
    @Inject(TurnProcessor) turns: TurnProcessor,
    @Inject(ToolRunnerClient) client: ToolRunnerClient,
    @Inject(DispatchLoop) nodes: DispatchLoop,
    @Inject(DrainSequence) drain: DrainSequence,
    @Inject(CONFIG) { drainMs }: Config,
  ) {
    drain.register('stopClaiming', 'turn processor', () => turns.stopClaiming());
    drain.register('finishWork', 'turn processor', async () => {
      await turns.finish(AbortSignal.timeout(drainMs * INTERRUPT_AT));
      await nodes.stop();
      client.close();
    });
    turns.start();
    nodes.start();
  }
}
