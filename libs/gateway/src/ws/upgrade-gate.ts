import type { IncomingMessage } from 'node:http';
import type { Principal, TokenStore } from '@tyrum/identity';
import { AUTH_SUBPROTOCOL_PREFIX, DEFAULT_TENANT_ID, SUBPROTOCOL } from '@tyrum/protocol';
import { StoreUnavailableError } from '@tyrum/statestore';
import type { Admission as Limits } from '../limits/admission';
import type { ClientAddresses } from '../limits/client-addresses';
import type { RefusalAudit } from '../limits/refusal-audit';
import { credentialsOf, subprotocolsOf } from './credentials';
import type { FailedAttempts } from './failed-attempts';

/** The path of the WebSocket. */
export const SOCKET_PATH = '/ws';

export type Admission =
  | { readonly kind: 'admitted'; readonly principal: Principal }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string; readonly retryAfterS?: number };

export interface GatePorts {
  readonly tokens: TokenStore;
  readonly failures: FailedAttempts;
  readonly limits: Limits;
  readonly addresses: ClientAddresses;
  readonly audit: RefusalAudit;
}

/** Decides about an upgrade before there is a socket: what is refused here never costs more than one HTTP answer. */
export class UpgradeGate {
  constructor(
    private readonly ports: GatePorts,
    /** Exact origins (`https://console.example`) whose pages may use the cookie. */
    private readonly allowedOrigins: ReadonlySet<string>,
  ) {}

  async admit(request: IncomingMessage): Promise<Admission> {
    const url = request.url ?? '/';
    const [path] = url.split('?', 1);
    if (path !== SOCKET_PATH) return refused(404, 'there is no WebSocket here');
    const wait = this.ports.limits.waitOf(this.ports.addresses.of(request), 'ws');
    if (wait > 0) return { ...refused(429, 'too many requests of this address'), retryAfterS: Math.ceil(wait / 1000) };
    // URLs end up in proxies' logs. Whoever sends a token there learns it at once, and its tenant that it has to be replaced.
    if (holdsToken(url)) {
      await this.note(tokenIn(url), 'token_in_url');
      return refused(400, 'a token must not be in the URL');
    }
    const credentials = credentialsOf(request.headers);
    if (credentials.from === 'cookie' && !this.allowedOrigins.has(request.headers.origin ?? '')) {
      await this.note(credentials.token, 'origin');
      return refused(403, 'this origin may not use the cookie');
    }
    if (credentials.from === 'nowhere') {
      await this.note(undefined, 'no_token');
      return this.unauthorized(request, 'a token is needed');
    }
    let principal: Principal | undefined;
    try {
      principal = await this.ports.tokens.verify(credentials.token);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      return {
        ...refused(503, 'the gateway cannot check tokens now'),
        retryAfterS: Math.ceil(error.retryAfterMs / 1000),
      };
    }
    if (!principal) {
      await this.note(credentials.token, 'bad_token');
      return this.unauthorized(request, 'the token is not valid');
    }
    if (!subprotocolsOf(request.headers).includes(SUBPROTOCOL))
      return refused(400, `offer the subprotocol ${SUBPROTOCOL}`);
    return { kind: 'admitted', principal };
  }

  private async note(token: string | undefined, reason: string): Promise<void> {
    const owner = token === undefined ? undefined : await this.ports.tokens.ownerOf(token).catch(() => undefined);
    this.ports.audit.note({ type: 'auth.failed', tenantId: DEFAULT_TENANT_ID, ...owner, door: 'ws', reason });
  }

  private unauthorized(request: IncomingMessage, message: string): Admission & { kind: 'refused' } {
    const tooMany = this.ports.failures.record(this.ports.addresses.of(request));
    return tooMany ? { ...refused(429, 'too many failed attempts'), retryAfterS: 60 } : refused(401, message);
  }
}

function refused(status: number, message: string): Admission & { kind: 'refused' } {
  return { kind: 'refused', status, message };
}

function holdsToken(url: string): boolean {
  const text = decodedOf(url);
  if (text.includes('tyrum-token.') || text.includes(AUTH_SUBPROTOCOL_PREFIX)) return true;
  return /[?&](access_)?token=/i.test(text);
}

/** The token itself, where it stands there as it is. */
function tokenIn(url: string): string | undefined {
  return /tyrum-token\.[\w.-]+/.exec(decodedOf(url))?.[0];
}

function decodedOf(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}
