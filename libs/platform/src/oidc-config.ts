import type { ConfigProblem, Values } from './config';
import type { Secret } from './secret';
import { VARIABLES } from './variables';

/** An OpenID provider, and what its users may do here. */
export interface OidcConfig {
  readonly issuer: string;
  readonly clientId: string;
  /** Either the secret, or the path of the file that holds it; relative to the working directory. */
  readonly clientSecret: Secret | { readonly file: string };
  readonly redirectUri: string;
  /** A JSON list. `identity` knows what its rules are and reports what is wrong with one. */
  readonly groups: string;
  readonly groupsClaim: string;
  /** Separated by spaces. */
  readonly scopes: string;
  readonly sessionMs: number;
}

const { oidcIssuer, oidcClientId, oidcClientSecret, oidcClientSecretFile, oidcRedirectUri, oidcGroups } = VARIABLES;
const MINUTE_MS = 60_000;

/** All of it or nothing: half a provider would be a door that is locked for everybody. */
export function chooseOidc(
  values: Values,
  bad: ReadonlySet<string>,
  problems: ConfigProblem[],
): OidcConfig | undefined {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcRedirectUri: redirectUri, oidcGroups: groups } = values;
  const { oidcClientSecret: secret, oidcClientSecretFile: file } = values;
  const clientSecret = secret ?? (file === undefined ? undefined : { file });
  const all = [issuer, clientId, clientSecret, redirectUri, groups];
  if (all.every((value) => value === undefined)) return undefined;
  if (secret && file !== undefined) {
    problems.push({ variable: oidcClientSecret.name, problem: `must not be set beside ${oidcClientSecretFile.name}` });
  }
  const names = [oidcIssuer, oidcClientId, oidcClientSecret, oidcRedirectUri, oidcGroups].map(({ name }) => name);
  const missing = names.filter((name, i) => all[i] === undefined && !bad.has(name));
  for (const variable of missing.filter(
    (name) => name !== oidcClientSecret.name || !bad.has(oidcClientSecretFile.name),
  )) {
    problems.push({ variable, problem: 'must be set: the variables of the OpenID provider go together' });
  }
  if (!issuer || !clientId || !clientSecret || !redirectUri || !groups) return undefined;
  const { oidcGroupsClaim: groupsClaim = '', oidcScopes: scopes = '', oidcSessionMinutes: minutes = 0 } = values;
  return { issuer, clientId, clientSecret, redirectUri, groups, groupsClaim, scopes, sessionMs: minutes * MINUTE_MS };
}
