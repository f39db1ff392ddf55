import { readFile } from 'node:fs/promises';
import { ConfigError, Secret, type OidcConfig } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { TokenStore } from '../token-store';
import { GroupRuleError, parseGroupRules, type GroupRule } from './group-rules';
import { OidcClient } from './oidc-client';
import { OidcLogins } from './oidc-logins';

/**
 * The log-ins of a configured provider, and the secret that is shared with it. Asks the provider nothing yet: one that is away
 * keeps nobody's edge from starting.
 * @throws {ConfigError} a rule about groups cannot be meant, or the secret's file cannot be read
 */
export async function openOidcLogins(
  config: OidcConfig,
  ports: { readonly store: StateStore; readonly tokens: TokenStore },
): Promise<{ logins: OidcLogins; clientSecret: Secret }> {
  const rules = rulesOf(config);
  const clientSecret = await secretOf(config);
  const client = new OidcClient({ ...config, clientSecret });
  return { logins: new OidcLogins({ ...ports, client }, rules, { sessionMs: config.sessionMs }), clientSecret };
}

function rulesOf({ groups }: OidcConfig): GroupRule[] {
  try {
    return parseGroupRules(groups);
  } catch (error) {
    if (!(error instanceof GroupRuleError)) throw error;
    throw new ConfigError([{ variable: 'TYRUM_OIDC_GROUPS', problem: error.message }]);
  }
}

async function secretOf({ clientSecret }: OidcConfig): Promise<Secret> {
  if (clientSecret instanceof Secret) return clientSecret;
  const variable = 'TYRUM_OIDC_CLIENT_SECRET_FILE';
  const text = await readFile(clientSecret.file, 'utf8').catch(({ code }: NodeJS.ErrnoException) => {
    throw new ConfigError([{ variable, problem: `must be a file that can be read (${code})` }]);
  });
  if (/^[\x21-\x7e]{16,4096}$/.test(text.trim())) return new Secret(text.trim());
  throw new ConfigError([{ variable, problem: 'must hold 16 to 4096 printable ASCII characters without spaces' }]);
}
