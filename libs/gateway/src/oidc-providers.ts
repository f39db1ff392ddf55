import type { FactoryProvider } from '@nestjs/common';
import { STATE_STORE } from '@tyrum/execution/nest';
import { openOidcLogins, TokenStore } from '@tyrum/identity';
import { CONFIG, type Config } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import { ALLOWED_ORIGINS } from './gateway-options';
import { LoginAttempts } from './http/login-attempts';
import { OIDC_DOOR, type OidcDoor } from './http/oidc.controller';

/** The log-in with an OpenID provider, where one is configured. */
export const oidcProviders: FactoryProvider[] = [
  {
    provide: OIDC_DOOR,
    inject: [CONFIG, STATE_STORE, TokenStore, ALLOWED_ORIGINS],
    useFactory: async (
      { oidc }: Config,
      store: StateStore,
      ...[tokens, allowed]: [TokenStore, ReadonlySet<string>]
    ): Promise<OidcDoor | undefined> => {
      if (!oidc) return undefined;
      const { logins, clientSecret } = await openOidcLogins(oidc, { store, tokens });
      const attempts = new LoginAttempts(clientSecret.reveal(), () => Date.now());
      const own = new URL(oidc.redirectUri).origin;
      const [console = own] = allowed;
      const home = console === own ? `${own}/ui/` : `${console}/`;
      return { logins, attempts, origins: [own, ...allowed], home };
    },
  },
];
