import { Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import { ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { GatewayModule, SCHEDULES_PORT } from '@tyrum/gateway';
import { ensureBootstrapToken, TokenStore } from '@tyrum/identity';
import { CONFIG, type Config } from '@tyrum/platform';
import { Schedules } from '@tyrum/scheduling';
import { SchedulerLoopModule, SchedulingModule } from '@tyrum/scheduling/nest';
import type { StateStore } from '@tyrum/statestore';
import { WorkerLoopModule } from '@tyrum/tools/nest';

/** The first token is there before anything listens. Printed as a plain line: the log would redact it. */
const firstToken: FactoryProvider = {
  provide: Symbol('tyrum.first-token'),
  inject: [STATE_STORE, TokenStore, CONFIG],
  useFactory: async (store: StateStore, tokens: TokenStore, config: Config) => {
    const outcome = await ensureBootstrapToken(store, tokens, config);
    if (outcome.kind === 'created') {
      process.stderr.write(`Admin token, shown this once and kept in ${outcome.path}:\n${outcome.token}\n`);
    }
    return outcome.kind;
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
        GatewayModule.forRoot({ imports: [SchedulesOverHttp] }),
        ...(roles.includes('worker') ? [WorkerLoopModule.forRoot(env)] : []),
        ...(roles.includes('scheduler') ? [SchedulerLoopModule] : []),
      ],
      providers: [firstToken],
    };
  }
}
