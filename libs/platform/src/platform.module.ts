import { setTimeout as pauseFor } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Config } from './config';
import { DrainSequence } from './drain';
import { HealthRegistry } from './health';
import type { Logger } from './logging';
import { Metrics } from './metrics';
import { ProbesController } from './probes.controller';

/** Injection token of the app's `Config`. */
export const CONFIG = Symbol('tyrum.config');

/** Injection token of the app's `Logger`. */
export const LOGGER = Symbol('tyrum.logger');

/**
 * Drives the drain from Nest's shutdown hooks, and is the only provider that should: Nest runs the hooks of one module
 * in parallel and orders modules by import distance, so an order made of many providers' hooks would be accidental.
 * Nest stops the HTTP server between the second hook and the third.
 */
@Injectable()
class DrainHooks implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(private readonly drain: DrainSequence) {}

  onModuleDestroy(): Promise<void> {
    return this.drain.runThrough('finishWork');
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.drain.runThrough('closeSockets');
  }

  onApplicationShutdown(): Promise<void> {
    return this.drain.runThrough('closePools');
  }
}

/** Global: gives every module CONFIG, LOGGER, Metrics, HealthRegistry and DrainSequence, and serves the probes. */
@Module({})
export class PlatformModule {
  /** Imported once, by the root module. */
  static forRoot(config: Config, logger: Logger): DynamicModule {
    const health = new HealthRegistry();
    const drain = new DrainSequence({ budgetMs: config.drainMs, logger });
    drain.register('stopAccepting', 'readiness', (signal) => {
      health.markDraining();
      return noticePause(config.drainNoticeMs, signal);
    });
    return {
      module: PlatformModule,
      global: true,
      controllers: [ProbesController],
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: LOGGER, useValue: logger },
        { provide: Metrics, useFactory: () => new Metrics() },
        { provide: HealthRegistry, useValue: health },
        { provide: DrainSequence, useValue: drain },
        { provide: DrainHooks, useFactory: () => new DrainHooks(drain) },
      ],
      exports: [CONFIG, LOGGER, Metrics, HealthRegistry, DrainSequence],
    };
  }
}

/** Balancers look at readiness now and then only: who closes before they have looked refuses what they still send. */
async function noticePause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await pauseFor(ms, undefined, { signal });
}
