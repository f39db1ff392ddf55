import { Module, type FactoryProvider } from '@nestjs/common';
import { ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { GatewayModule } from '@tyrum/gateway';
import { ensureBootstrapToken, TokenStore } from '@tyrum/identity';
import { CONFIG, type Config } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';

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

/** What runs in the edge process. */
@Module({ imports: [ControlPlaneModule, GatewayModule.forRoot()], providers: [firstToken] })
export class EdgeModule {}
