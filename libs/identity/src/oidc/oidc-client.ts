import type { Configuration } from 'openid-client';

/** What the client of a provider has to know. */
export interface OidcClientOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: { reveal(): string };
  readonly redirectUri: string;
  /** Separated by spaces. */
  readonly scopes: string;
  /** The claim that lists a user's groups. */
  readonly groupsClaim: string;
}

/** What ties the provider's answer to the browser that was sent there. All of it is secret. */
export interface LoginChallenge {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** Who logged in. */
export interface LoggedIn {
  /** `<issuer> <subject>`: the same person each time, whatever becomes of names and addresses. */
  readonly subject: string;
  readonly groups: readonly string[];
}

/** What was wrong with a log-in, as stable words for audit and metrics. */
export type LoginRefusal =
  /** It belongs to no attempt of this browser, or to one that is too old. */
  | 'oidc_attempt'
  | 'oidc_state'
  /** The provider, or its user, said no. */
  | 'oidc_denied'
  /** The code was used before, or is not the provider's. */
  | 'oidc_code'
  /** The provider's answer or its ID token does not hold. */
  | 'oidc_token'
  /** The user's groups are nothing here. */
  | 'oidc_groups';

export class LoginRefusedError extends Error {
  readonly code = 'login_refused';

  constructor(readonly reason: LoginRefusal) {
    super(`the log-in was refused (${reason})`);
    this.name = 'LoginRefusedError';
  }
}

/** The provider does not answer, or not as one. `message` holds nothing of what was sent or received. */
export class ProviderUnavailableError extends Error {
  readonly code = 'provider_unavailable';
}

type Library = typeof import('openid-client');

const TIMEOUT_S = 10;
/** How long what the provider says about itself is used. Its keys are fetched anew by themselves when one is not known. */
const METADATA_MS = 60 * 60_000;
const MAX_GROUPS = 1_000;
const MAX_SUBJECT_LENGTH = 255;

/** Codes with which the library says that it got no proper answer, as opposed to a bad one. */
const NO_ANSWER: ReadonlySet<unknown> = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
]);

/**
 * Our side of OpenID Connect: authorization code with PKCE, state and nonce. The library checks the answers; it is loaded with
 * the first log-in, because its 7 MiB are of no use to an edge where nobody logs in like that.
 */
export class OidcClient {
  private metadata: { readonly readAt: number; readonly configuration: Promise<Configuration> } | undefined;

  constructor(
    private readonly options: OidcClientOptions,
    private readonly nowMs: () => number = Date.now,
  ) {}

  /** Where to send the browser. @throws {ProviderUnavailableError} */
  async begin(): Promise<{ url: string; challenge: LoginChallenge }> {
    const library = await load();
    const configuration = await this.discover(library);
    const challenge = {
      state: library.randomState(),
      nonce: library.randomNonce(),
      verifier: library.randomPKCECodeVerifier(),
    };
    const url = library.buildAuthorizationUrl(configuration, {
      redirect_uri: this.options.redirectUri,
      scope: this.options.scopes,
      state: challenge.state,
      nonce: challenge.nonce,
      code_challenge: await library.calculatePKCECodeChallenge(challenge.verifier),
      code_challenge_method: 'S256',
    });
    return { url: url.href, challenge };
  }

  /**
   * Who came back. @param query what the browser brought, as it is in the URL
   * @throws {LoginRefusedError} @throws {ProviderUnavailableError}
   */
  async finish(query: string, { state, nonce, verifier }: LoginChallenge): Promise<LoggedIn> {
    if (new URLSearchParams(query).get('state') !== state) throw new LoginRefusedError('oidc_state');
    const library = await load();
    const configuration = await this.discover(library);
    const came = new URL(this.options.redirectUri);
    came.search = query;
    try {
      const tokens = await library.authorizationCodeGrant(configuration, came, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (!claims || claims.sub.length > MAX_SUBJECT_LENGTH) throw new LoginRefusedError('oidc_token');
      const { groupsClaim, issuer } = this.options;
      // Many providers keep what may be long out of the ID token.
      const own = Object.hasOwn(claims, groupsClaim)
        ? claims
        : await library.fetchUserInfo(configuration, tokens.access_token, claims.sub);
      return { subject: `${issuer} ${claims.sub}`, groups: groupsOf(own[groupsClaim]) };
    } catch (error) {
      throw whatWentWrong(error);
    }
  }

  private discover(library: Library): Promise<Configuration> {
    const now = this.nowMs();
    if (this.metadata && now - this.metadata.readAt < METADATA_MS) return this.metadata.configuration;
    const entry = { readAt: now, configuration: this.configure(library) };
    this.metadata = entry;
    entry.configuration.catch(() => {
      if (this.metadata === entry) this.metadata = undefined;
    });
    return entry.configuration;
  }

  private async configure(library: Library): Promise<Configuration> {
    const { issuer, clientId, clientSecret } = this.options;
    const isPlain = issuer.startsWith('http:');
    const execute = isPlain ? [library.allowInsecureRequests] : [];
    try {
      const found = await library.discovery(new URL(issuer), clientId, undefined, library.None(), {
        execute,
        timeout: TIMEOUT_S,
      });
      const server = found.serverMetadata();
      const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
      const authenticate = methods.includes('client_secret_basic')
        ? library.ClientSecretBasic
        : library.ClientSecretPost;
      const configuration = new library.Configuration(server, clientId, {}, authenticate(clientSecret.reveal()));
      configuration.timeout = TIMEOUT_S;
      // Without it the library trusts the connection that an ID token came over, and looks at no signature.
      library.enableNonRepudiationChecks(configuration);
      if (isPlain) library.allowInsecureRequests(configuration);
      return configuration;
    } catch (error) {
      throw new ProviderUnavailableError(`the OpenID provider's configuration cannot be read (${codeOf(error)})`);
    }
  }
}

function load(): Promise<Library> {
  return import('openid-client');
}

function groupsOf(claim: unknown): string[] {
  const groups = typeof claim === 'string' ? [claim] : claim;
  if (!Array.isArray(groups) || groups.length > MAX_GROUPS) return [];
  return groups.filter((group): group is string => typeof group === 'string');
}

/** The library's errors have responses, tokens and claims in them: only their codes go any further. */
function whatWentWrong(error: unknown): Error {
  if (error instanceof LoginRefusedError) return error;
  const code = codeOf(error);
  if (code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR') return new LoginRefusedError('oidc_denied');
  if (code === 'OAUTH_RESPONSE_BODY_ERROR') {
    const { error: said } = error as { error?: unknown };
    if (said === 'invalid_grant') return new LoginRefusedError('oidc_code');
    return new ProviderUnavailableError(`the OpenID provider refuses this client (${String(said).slice(0, 64)})`);
  }
  if (code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE') {
    return new ProviderUnavailableError('the OpenID provider does not take this client for whom it says it is');
  }
  if (error instanceof TypeError || NO_ANSWER.has(code)) {
    return new ProviderUnavailableError(`the OpenID provider does not answer (${code})`);
  }
  return new LoginRefusedError('oidc_token');
}

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
