import { randomUUID } from 'node:crypto';
import { Inject, Module, type FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { AuditKey, AuditUpkeep, openBlobSweep } from '@tyrum/evidence';
import { AuditKeyModule } from '@tyrum/evidence/nest';
import { TurnIntake } from '@tyrum/execution';
import { BACKPLANE, ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { Leases } from '@tyrum/leases';
import { CONFIG, DrainSequence, LOGGER, Metrics, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import { LoggedSeals } from './logged-seals';
import { MeteredRetentionObserver } from './metered-retention-observer';
import { MeteredSchedulerObserver } from './metered-scheduler-observer';
import { Retention } from './retention';
import { ScheduleFirer } from './schedule-firer';
import { SchedulerLoop } from './scheduler-loop';
import { SchedulerShards } from './scheduler-shards';
import { Schedules } from './schedules';

const schedules: FactoryProvider<Schedules> = {
  provide: Schedules,
  inject: [STATE_STORE, BACKPLANE, CONFIG],
  useFactory: (store: StateStore, backplane: Backplane, { model }: Config) =>
    new Schedules(store, backplane, randomUUID, model?.price !== undefined),
};

/** The definitions of schedules, for whoever serves them. */
@Module({ imports: [ControlPlaneModule], providers: [schedules], exports: [Schedules] })
export class SchedulingModule {}

const observer: FactoryProvider<MeteredSchedulerObserver> = {
  provide: MeteredSchedulerObserver,
  inject: [Metrics, LOGGER],
  useFactory: (metrics: Metrics, logger: Logger) => new MeteredSchedulerObserver(metrics, logger),
};

const loop: FactoryProvider<SchedulerLoop> = {
  provide: SchedulerLoop,
  inject: [STATE_STORE, BACKPLANE, TurnIntake, CONFIG, MeteredSchedulerObserver],
  useFactory: (
    store: StateStore,
    backplane: Backplane,
    intake: TurnIntake,
    ...[config, watching]: [Config, MeteredSchedulerObserver]
  ) => {
    const leases = new Leases(store);
    const { instanceId: owner, leaseTtlMs: ttlMs } = config;
    const onError = (error: unknown) => watching.trouble('renew the shards', error);
    const shards = new SchedulerShards(leases, { owner, ttlMs, onError });
    const firer = new ScheduleFirer(store, leases, intake, randomUUID);
    return new SchedulerLoop({ store, backplane, shards, firer, intake }, watching, { balanceMs: ttlMs / 2 });
  },
};

const SWEEP_INTERVAL_MS = 5 * 60_000;
const SWEEP_BATCH = 1_000;

const retention: FactoryProvider<Retention> = {
  provide: Retention,
  inject: [STATE_STORE, CONFIG, AuditKey, Metrics, LOGGER],
  useFactory: async (store: StateStore, config: Config, ...[key, metrics, logger]: [AuditKey, Metrics, Logger]) =>
    new Retention(
      store,
      {
        owner: config.instanceId,
        intervalMs: SWEEP_INTERVAL_MS,
        batch: SWEEP_BATCH,
        keptFor: config.retention,
        audit: new AuditUpkeep(store, key, new LoggedSeals(metrics, logger)),
        blobs: await openBlobSweep(config),
      },
      new MeteredRetentionObserver(metrics, logger),
    ),
};

/** Runs the scheduler's loop and the retention sweep in this process, from their start to their drain. */
@Module({ imports: [ControlPlaneModule, AuditKeyModule], providers: [observer, loop, retention] })
export class SchedulerLoopModule {
  constructor(
    @Inject(SchedulerLoop) scheduler: SchedulerLoop,
    @Inject(Retention) sweeps: Retention,
    @Inject(DrainSequence) drain: DrainSequence,
  ) {
    drain.register('stopClaiming', 'retention', () => sweeps.stop());
    sweeps.start();
    drain.register('stopClaiming', 'scheduler', () => scheduler.stopClaiming());
    drain.register('finishWork', 'scheduler shards', () => scheduler.release());
    scheduler.start();
  }
}
