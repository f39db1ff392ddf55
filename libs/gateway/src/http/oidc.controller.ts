import { Controller, Get, HttpCode, Inject, Optional, Query, Req, Res } from '@nestjs/common';
import { LoginRefusedError, ProviderUnavailableError, type OidcLogins } from '@tyrum/identity';
import type { Logger } from '@tyrum/platform';
import { LOGGER } from '@tyrum/platform';
import { DEFAULT_TENANT_ID, WireError, type OidcOffer } from '@tyrum/protocol';
import type { CookieOptions, Request, Response } from 'express';
import { notFound } from '../failures';
import { RefusalAudit } from '../limits/refusal-audit';
import { cookieOf, TOKEN_COOKIE } from '../ws/credentials';
import { ATTEMPT_MS, returnPlace, type LoginAttempts } from './login-attempts';
import { readQuery } from './query';
import { SESSION_COOKIE } from './session.controller';

/** Injection token of the `OidcDoor`; nothing is bound to it where no provider is configured. */
export const OIDC_DOOR = Symbol('tyrum.oidc-door');

export interface OidcDoor {
  readonly logins: OidcLogins;
  readonly attempts: LoginAttempts;
  /** Where a log-in may go on afterwards; the first one is the edge's own. */
  readonly origins: readonly string[];
  /** Where it goes on when nothing was asked for. */
  readonly home: string;
}

const ATTEMPT_COOKIE = 'tyrum_login';
/** The browser comes back from another site, and `Strict` would leave the cookie behind. It is worth nothing elsewhere. */
const ATTEMPT: CookieOptions = { httpOnly: true, secure: true, sameSite: 'lax', path: '/oidc' };
const PROVIDER_RETRY_MS = 5_000;

/** The console's log-in with an OpenID provider; what comes of it is the same session that a token begins. */
@Controller('oidc')
export class OidcController {
  constructor(
    @Optional() @Inject(OIDC_DOOR) private readonly door: OidcDoor | undefined,
    @Inject(RefusalAudit) private readonly audit: RefusalAudit,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Whether there is a provider: a page that offers the log-in has to know before anybody is logged in. */
  @Get()
  offer(): OidcOffer {
    return { available: this.door !== undefined };
  }

  /** Sends the browser to the provider. */
  @Get('login')
  @HttpCode(302)
  async begin(@Query() query: Record<string, unknown>, @Res() response: Response): Promise<void> {
    const { logins, attempts, origins, home } = this.required();
    const { return_to: wish } = readQuery('GET /oidc/login', query);
    const returnTo = wish === undefined ? home : returnPlace(wish, origins);
    if (returnTo === undefined) throw new WireError('invalid_request', 'return_to is no place of this installation');
    const { url, attempt } = await this.asking(() => logins.begin());
    response.cookie(ATTEMPT_COOKIE, attempts.keep({ attempt, returnTo }), { ...ATTEMPT, maxAge: ATTEMPT_MS });
    response.setHeader('Cache-Control', 'no-store');
    response.redirect(302, url);
  }

  /** Where the provider sends it back to. */
  @Get('callback')
  async finish(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { logins, attempts } = this.required();
    response.clearCookie(ATTEMPT_COOKIE, ATTEMPT);
    response.setHeader('Cache-Control', 'no-store');
    const session = await this.asking(async () => {
      const kept = attempts.find(cookieOf(request.headers, ATTEMPT_COOKIE));
      if (!kept) throw new LoginRefusedError('oidc_attempt');
      const [, query = ''] = request.originalUrl.split(/\?(.*)/s);
      return { ...(await logins.finish(query, kept.attempt)), returnTo: kept.returnTo };
    });
    response.cookie(TOKEN_COOKIE, session.token, { ...SESSION_COOKIE, maxAge: session.expiresAt - Date.now() });
    response.type('html').send(onward(session.returnTo));
  }

  private required(): OidcDoor {
    if (!this.door) throw notFound('log-in provider');
    return this.door;
  }

  private async asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof LoginRefusedError) {
        this.audit.note({ type: 'auth.failed', tenantId: DEFAULT_TENANT_ID, door: 'http', reason: error.reason });
        throw new WireError(error.reason === 'oidc_groups' ? 'forbidden' : 'unauthorized', error.message);
      }
      if (!(error instanceof ProviderUnavailableError)) throw error;
      this.logger.warn({ err: error }, 'nobody can log in with the OpenID provider now');
      throw new WireError('overloaded', 'the log-in provider cannot be asked now', {
        retry_after_ms: PROVIDER_RETRY_MS,
      });
    }
  }
}

/**
 * A page of our own that goes on by itself. A redirect would be one more hop of a navigation that another site began, and the
 * browser would leave a `Strict` cookie behind on it.
 */
function onward(place: string): string {
  const url = place.replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html><meta charset="utf-8"><title>Tyrum</title><meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">Go on</a>\n`;
}
