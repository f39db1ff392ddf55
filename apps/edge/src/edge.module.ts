import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { GatewayModule, SCHEDULES_PORT } from '@tyrum/gateway';
import { ensureBootstrapToken, TokenStore } from '@tyrum/identity';
import { CONFIG, LOGGER, type Config, type Logger } from '@tyrum/platform';
import { Schedules } from '@tyrum/scheduling';
import { SchedulerLoopModule, SchedulingModule } from '@tyrum/scheduling/nest';
import type { StateStore } from '@tyrum/statestore';
import { WorkerLoopModule } from '@tyrum/tools/nest';

/** Beside the bundle, in `dist/apps` as in the image. */
const CONSOLE_FOLDER = join(__dirname, '..', 'console');

/** The first token is there before anything listens. Printed as a plain line: the log would redact it. */
const firstToken: FactoryProvider = {
  provide: Symbol('tyrum.first-token'),
  inject: [STATE_STORE, TokenStore, CONFIG],
  useFactory: async (store: StateStore, tokens: TokenStore, config: Config) => {
    const outcome = await ensureBootstrapToken(store, tokens, config);
    if (outcome.kind === 'created') {
      const use = 'Paste it into the console, /ui/ at the address below.';
      process.stderr.write(`Admin token, shown this once and kept in ${outcome.path}:\n${outcome.token}\n${use}\n`);
    }
    return outcome.kind;
  },
};

/** Says where the console is, once that is known. The host is the one listened on: what others call it, nobody told. */
const consoleAddress: FactoryProvider = {
  provide: Symbol('tyrum.console-address'),
  inject: [HttpAdapterHost, CONFIG, LOGGER],
  useFactory: (host: HttpAdapterHost, config: Config, logger: Logger) => {
    if (!existsSync(join(CONSOLE_FOLDER, 'index.html')))
      return logger.warn('there are no files of the console: /ui answers 404');
    host.listen$.subscribe(() => {
      const { port } = (host.httpAdapter.getHttpServer() as Server).address() as AddressInfo;
      const name = config.host.includes(':') ? `[${config.host}]` : config.host;
      logger.info({ url: `http://${name}:${port}/ui/` }, 'console');
    });
  },
};

/** Serves the schedules over HTTP; who fires them is the scheduler's business. */
@Module({
  imports: [SchedulingModule],
  providers: [{ provide: SCHEDULES_PORT, useExisting: Schedules }],
  exports: [SCHEDULES_PORT],
})
class SchedulesOverHttp {}

/** What runs in the edge process: its doors, and on a single host the other roles' loops too. */
@Module({})
export class EdgeModule {
  static forRoot({ roles }: Config, env: Readonly<Record<string, string | undefined>>): DynamicModule {
    return {
      module: EdgeModule,
      imports: [
        ControlPlaneModule,
        GatewayModule.forRoot({ imports: [SchedulesOverHttp], consoleFolder: CONSOLE_FOLDER }),
        ...(roles.includes('worker') ? [WorkerLoopModule.forRoot(env)] : []),
        ...(roles.includes('scheduler') ? [SchedulerLoopModule] : []),
      ],
      providers: [firstToken, consoleAddress],
    };
  }
}
