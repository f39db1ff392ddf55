import { Controller, Get, Inject, Module, Post } from '@nestjs/common';
import { runApp } from '../bootstrap';
import { type DrainPhase, DrainSequence } from '../drain';
import { HealthRegistry } from '../health';
import type { Logger } from '../logging';
import { LOGGER } from '../platform.module';

/** A minimal app, run as a process of its own by the tests of the bootstrap. TYRUM_TEST_FIXTURE picks its fault. */
const fault = process.env['TYRUM_TEST_FIXTURE'];

class Gate {
  readonly opened: Promise<void>;
  open!: () => void;

  constructor() {
    this.opened = new Promise((resolve) => (this.open = resolve));
  }
}

/** Work in flight: ends when the test says so. */
const work = new Gate();

@Controller()
class FixtureController {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  @Get('work')
  async waitForWork(): Promise<string> {
    this.logger.info('work began');
    await work.opened;
    return 'done';
  }

  @Post('finish')
  finish(): string {
    work.open();
    return 'ok';
  }

  @Post('reject')
  reject(): string {
    void Promise.reject(new Error('nobody catches this'));
    return 'ok';
  }
}

@Module({ controllers: [FixtureController] })
class FixtureModule {
  constructor(
    @Inject(DrainSequence) drain: DrainSequence,
    @Inject(HealthRegistry) health: HealthRegistry,
    @Inject(LOGGER) logger: Logger,
  ) {
    if (fault === 'boot') throw new Error('the fixture refuses to boot');
    health.register({ name: 'fixture', check: async () => undefined, timeoutMs: 1000 });
    const mark = (phase: DrainPhase, until?: () => Promise<void>) =>
      drain.register(phase, `fixture ${phase}`, async () => {
        logger.info({ phase }, 'phase began');
        await until?.();
        logger.info({ phase }, 'phase ended');
      });
    // Registered backwards, so that the order seen is not the order of registration.
    mark('closePools');
    // `late`: an answer that comes only after the server has begun to close.
    mark('closeSockets', async () => void (fault === 'late' && setTimeout(() => work.open(), 300)));
    mark('finishWork', async () => {
      if (fault === 'hang') await new Promise<void>(() => undefined);
      if (fault !== 'late') await work.opened;
    });
    mark('stopClaiming');
    mark('stopAccepting');
  }
}

void runApp({
  app: 'edge',
  ...(fault === 'crowd' ? { httpLimits: { headersMs: 500, requestMs: 1_000, checkMs: 50, maxConnections: 10 } } : {}),
  env: process.env,
  argv: process.argv.slice(2),
  modules: () => [FixtureModule],
});
