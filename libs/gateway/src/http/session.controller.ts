import { Controller, Delete, Get, HttpCode, Inject, Post, Req, Res, UseGuards } from '@nestjs/common';
import { TokenStore, type Principal } from '@tyrum/identity';
import type { Session } from '@tyrum/protocol';
import type { CookieOptions, Request, Response } from 'express';
import { RefusedError } from '../failures';
import { ALLOWED_ORIGINS } from '../gateway-options';
import { Audited } from '../operations/audited';
import { actorOf } from '../operations/once';
import { TOKEN_COOKIE } from '../ws/credentials';
import { csrfTokenOf } from './browser-guard';
import { Caller, Needs, ScopeGuard, tokenOf } from './request-principal';

const SESSION_MS = 12 * 60 * 60_000;
/** How the cookie with a session's token is set, and taken back. */
export const SESSION_COOKIE: CookieOptions = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' };

/** The console's log-in: a token, once given, becomes a cookie that scripts cannot read. */
@Controller('v1/session')
@UseGuards(ScopeGuard)
export class SessionController {
  constructor(
    @Inject(ALLOWED_ORIGINS) private readonly allowedOrigins: ReadonlySet<string>,
    private readonly tokens: TokenStore,
    private readonly audited: Audited,
  ) {}

  /** Begins a session with the token of the `Authorization` header, for a page of an allowed origin. */
  @Post()
  @HttpCode(200)
  @Needs('authenticated')
  async begin(
    @Caller() caller: Principal,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Session> {
    if (!this.allowedOrigins.has(request.headers.origin ?? '')) {
      throw new RefusedError('origin', 'forbidden', 'this origin may not begin a session');
    }
    // A cookie cannot sign requests with the device's key.
    if (caller.deviceId !== undefined) {
      throw new RefusedError('device_bound', 'forbidden', 'a device-bound token has no sessions');
    }
    const { tenantId } = caller;
    const detail = { origin: request.headers.origin };
    await this.audited.note({ tenantId, type: 'session.begun', actor: actorOf(caller), detail });
    response.cookie(TOKEN_COOKIE, tokenOf(request), { ...SESSION_COOKIE, maxAge: SESSION_MS });
    return sessionOf(caller, request);
  }

  /** Who the caller is; with a cookie, also after the page was loaded anew. */
  @Get()
  @Needs('authenticated')
  get(@Caller() caller: Principal, @Req() request: Request): Session {
    return sessionOf(caller, request);
  }

  /** Ends the session in this browser. A token that was made for a session ends with it; another lives on until it is revoked. */
  @Delete()
  @HttpCode(204)
  @Needs('authenticated')
  async end(@Caller() caller: Principal, @Res({ passthrough: true }) response: Response): Promise<void> {
    if (caller.isSession) await this.tokens.revoke(caller.tenantId, caller.tokenId);
    response.clearCookie(TOKEN_COOKIE, SESSION_COOKIE);
  }
}

function sessionOf({ tenantId, tokenId, role, scopes }: Principal, request: Request): Session {
  const csrf_token = csrfTokenOf(tokenOf(request));
  return { tenant_id: tenantId, token_id: tokenId, role, scopes: [...scopes], csrf_token };
}
