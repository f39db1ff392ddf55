import { randomUUID } from 'node:crypto';
import { Module, type FactoryProvider } from '@nestjs/common';
import { LocalBackplane, openRedisBackplane, PostgresBackplane, type Backplane } from '@tyrum/backplane';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { Heartbeat } from '@tyrum/leases';
import {
  CONFIG,
  DrainSequence,
  HealthRegistry,
  LOGGER,
  Metrics,
  VERSION,
  type Config,
  type Logger,
} from '@tyrum/platform';
import { openStateStore, PostgresNotifications, StoreUnavailableError, type StateStore } from '@tyrum/statestore';
import { ApprovalStore, ConversationStore, TurnStore } from '@tyrum/statestore/turns';
import { ApprovalGate } from './approval-gate';
import { Approvals } from './approvals';
import { Conversations } from './conversations';
import { TurnControl } from './turn-control';
import { TurnIntake } from './turn-intake';
import { TurnReader } from './turn-reader';
import { TurnRedrive } from './turn-redrive';
import { TurnWriter } from './turn-writer';
import { Waits } from './waits';

/** Injection token of the process's `StateStore`. */
export const STATE_STORE = Symbol('tyrum.state-store');

/** Injection token of the process's `Backplane`. */
export const BACKPLANE = Symbol('tyrum.backplane');

/** How long a database that is not there yet is waited for at boot, in ms: containers start in any order. */
const BOOT_PATIENCE_MS = 60_000;
const CHECK_TIMEOUT_MS = 2_000;
/** An approval that nobody has given for so long is refused, in ms. */
const APPROVAL_TTL_MS = 24 * 60 * 60 * 1_000;
/** Keeps Tyrum's channel apart from what else is on the same Redis. */
const REDIS_NAMESPACE = 'tyrum';

const STAMPS = { newId: randomUUID, nowMs: () => Date.now() };

async function openStore(config: Config, logger: Logger): Promise<StateStore> {
  const { database } = config;
  const address = database.kind === 'postgres' ? { kind: database.kind, url: database.url.reveal() } : { ...database };
  const options = {
    applicationName: `tyrum-${config.app}`,
    onPoolError: (error: Error) => logger.warn({ err: error }, 'an idle database connection was lost'),
  };
  const deadline = performance.now() + BOOT_PATIENCE_MS;
  for (;;) {
    try {
      return await openStateStore(address, options);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || performance.now() >= deadline) throw error;
      logger.warn({ err: error, retry_after_ms: error.retryAfterMs }, 'the database is not there yet');
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
    }
  }
}

async function openBackplane({ backplane, database }: Config, logger: Logger): Promise<Backplane> {
  if (backplane.kind === 'redis') {
    const onError = (error: unknown) => logger.warn({ err: error }, 'a connection to Redis was lost');
    return openRedisBackplane({ url: backplane.url.reveal(), namespace: REDIS_NAMESPACE, onError });
  }
  if (backplane.kind === 'local' || database.kind !== 'postgres') return new LocalBackplane();
  const onError = (error: unknown) => logger.warn({ err: error }, 'the notification connection was lost');
  return new PostgresBackplane(new PostgresNotifications({ url: database.url.reveal(), onError }));
}

const stateStore: FactoryProvider = {
  provide: STATE_STORE,
  inject: [CONFIG, LOGGER, DrainSequence, HealthRegistry],
  useFactory: async (config: Config, logger: Logger, drain: DrainSequence, health: HealthRegistry) => {
    const store = await openStore(config, logger);
    drain.register('closePools', 'database', () => store.close());
    health.register({ name: 'database', check: () => store.ping(), timeoutMs: CHECK_TIMEOUT_MS });
    return store;
  },
};

const backplane: FactoryProvider = {
  provide: BACKPLANE,
  inject: [CONFIG, LOGGER, DrainSequence, HealthRegistry, Metrics],
  useFactory: async (
    config: Config,
    logger: Logger,
    ...[drain, health, metrics]: [DrainSequence, HealthRegistry, Metrics]
  ) => {
    const opened = await openBackplane(config, logger);
    drain.register('closePools', 'backplane', () => opened.close());
    // Only until it was there once: a wrong address shows at the deployment, but losing it later costs latency and must
    // not take every process out of rotation at the same time.
    let reached = false;
    const check = (): Promise<string | void> => {
      reached ||= opened.healthy;
      if (!reached) return Promise.reject(new Error(`the ${opened.kind} backplane was never reached`));
      return Promise.resolve(opened.problem && `${opened.problem}: work goes on by polling`);
    };
    health.register({ name: 'backplane', check, timeoutMs: CHECK_TIMEOUT_MS });
    metrics.gauge(
      'tyrum_backplane_healthy',
      '1 while wake-ups from other processes arrive; else they are polled for.',
      {
        collect: (gauge) => gauge.set(opened.healthy ? 1 : 0),
      },
    );
    return opened;
  },
};

/** Beats go out twice a lease: who is silent for as long as a takeover takes is seen to be. */
const MIN_BEAT_MS = 1_000;

const heartbeat: FactoryProvider<Heartbeat> = {
  provide: Heartbeat,
  inject: [STATE_STORE, BACKPLANE, CONFIG, LOGGER, DrainSequence],
  useFactory: async (
    store: StateStore,
    plane: Backplane,
    ...[config, logger, drain]: [Config, Logger, DrainSequence]
  ) => {
    const { instanceId, app, roles, leaseTtlMs } = config;
    const onError = (error: unknown) => logger.debug({ err: error }, 'the heartbeat could not be written');
    const report = () => ({
      backplane: { kind: plane.kind, healthy: plane.healthy, ...(plane.problem ? { problem: plane.problem } : {}) },
    });
    const beatMs = Math.max(MIN_BEAT_MS, leaseTtlMs / 2);
    const beat = new Heartbeat(store, { instanceId, app, roles, version: VERSION, beatMs, report, onError });
    await beat.start();
    // Nobody waits for it: a database that is away must not make the stop unclean.
    drain.register('stopAccepting', 'heartbeat', () => void beat.drain());
    drain.register('closeSockets', 'heartbeat', () => beat.stop());
    return beat;
  },
};

const domain: FactoryProvider[] = [
  { provide: TurnStore, inject: [STATE_STORE], useFactory: (store: StateStore) => new TurnStore(store) },
  { provide: ConversationStore, useFactory: () => new ConversationStore() },
  { provide: IdempotencyLedger, useFactory: () => new IdempotencyLedger() },
  {
    provide: TurnIntake,
    inject: [STATE_STORE, TurnStore, IdempotencyLedger, BACKPLANE],
    useFactory: (store: StateStore, turns: TurnStore, ledger: IdempotencyLedger, plane: Backplane) =>
      new TurnIntake(store, turns, ledger, plane, STAMPS),
  },
  {
    provide: TurnWriter,
    inject: [STATE_STORE, TurnStore, BACKPLANE],
    useFactory: (store: StateStore, turns: TurnStore, plane: Backplane) => new TurnWriter(store, turns, plane, STAMPS),
  },
  {
    provide: TurnControl,
    inject: [STATE_STORE, TurnStore, TurnWriter, BACKPLANE, CONFIG],
    useFactory: (store: StateStore, turns: TurnStore, ...[writer, plane, { model }]: [TurnWriter, Backplane, Config]) =>
      new TurnControl(store, turns, writer, plane, model?.price),
  },
  { provide: ApprovalStore, useFactory: () => new ApprovalStore() },
  {
    provide: ApprovalGate,
    inject: [STATE_STORE, TurnStore, ApprovalStore, CONFIG],
    useFactory: (store: StateStore, turns: TurnStore, approvals: ApprovalStore, { policy, approvalTools }: Config) =>
      new ApprovalGate(
        { store, turns, approvals, stamps: STAMPS },
        { tools: new Set(policy === 'open' ? [] : approvalTools), ttlMs: APPROVAL_TTL_MS },
      ),
  },
  {
    provide: Approvals,
    inject: [STATE_STORE, TurnStore, ApprovalStore],
    useFactory: (store: StateStore, turns: TurnStore, approvals: ApprovalStore) =>
      new Approvals({ store, turns, approvals, stamps: STAMPS }),
  },
  { provide: TurnRedrive, inject: [TurnStore], useFactory: (turns: TurnStore) => new TurnRedrive(turns, STAMPS) },
  {
    provide: Waits,
    inject: [STATE_STORE, TurnStore, BACKPLANE],
    useFactory: (store: StateStore, turns: TurnStore, plane: Backplane) => new Waits(store, turns, plane),
  },
  {
    provide: TurnReader,
    inject: [STATE_STORE, TurnStore],
    useFactory: (store: StateStore, turns: TurnStore) => new TurnReader(store, turns),
  },
  {
    provide: Conversations,
    inject: [STATE_STORE, TurnStore, ConversationStore, BACKPLANE],
    useFactory: (store: StateStore, turns: TurnStore, conversations: ConversationStore, plane: Backplane) =>
      new Conversations(store, turns, conversations, plane, STAMPS),
  },
];

const providers = [stateStore, backplane, heartbeat, ...domain];

/** What every process of the control plane shares: the store, the backplane and the engine's plain classes. */
@Module({ providers, exports: providers.map(({ provide }) => provide) })
export class ControlPlaneModule {}
