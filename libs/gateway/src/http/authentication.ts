import type { Principal, TokenStore } from '@tyrum/identity';
import { WireError } from '@tyrum/protocol';
import type { NextFunction, Request, Response } from 'express';
import { credentialsOf } from '../ws/credentials';
import { requireOwnPage } from './browser-guard';
import type { DeviceProofs } from './device-proofs';
import { rememberPrincipal } from './request-principal';

export interface AuthenticationPorts {
  readonly tokens: TokenStore;
  readonly proofs: DeviceProofs;
  /** Exact origins whose pages may use the cookie. */
  readonly allowedOrigins: ReadonlySet<string>;
}

/**
 * Lets through who has a valid token: in the `Authorization` header, or in the cookie of an allowed origin's page. It stands
 * before the body is read: a stranger's megabyte is not worth parsing.
 */
export function authentication({ tokens, proofs, allowedOrigins }: AuthenticationPorts) {
  const check = async (request: Request): Promise<void> => {
    const credentials = credentialsOf({ ...request.headers, 'sec-websocket-protocol': undefined });
    const token = credentials.from === 'nowhere' ? undefined : credentials.token;
    const principal = token === undefined ? undefined : await tokens.verify(token);
    if (token === undefined || !principal) throw new WireError('unauthorized', 'a valid bearer token is needed');
    if (credentials.from === 'cookie') requireOwnPage(request, token, allowedOrigins);
    if (isBound(principal)) await proofs.require(request, principal);
    rememberPrincipal(request, principal, token);
  };
  return (request: Request, _response: Response, next: NextFunction): void => {
    check(request).then(() => next(), next);
  };
}

function isBound(principal: Principal): principal is Principal & { readonly deviceId: string } {
  return principal.deviceId !== undefined;
}
