import { createParamDecorator, SetMetadata, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { allows, type Principal } from '@tyrum/identity';
import { WireError, type RouteScope } from '@tyrum/protocol';
import type { Request } from 'express';
import { RefusedError } from '../failures';

// Beside the request and not on it, so that nothing a client sends can take its place.
const principals = new WeakMap<Request, Presented>();

interface Presented {
  readonly principal: Principal;
  readonly token: string;
}

export function rememberPrincipal(request: Request, principal: Principal, token: string): void {
  principals.set(request, { principal, token });
}

/** Who sent the request, once that is known. */
export function knownPrincipal(request: Request): Principal | undefined {
  return principals.get(request)?.principal;
}

/** Who sent the request. @throws {WireError} unauthorized */
export function principalOf(request: Request): Principal {
  return presentedBy(request).principal;
}

/** The token a request came with. For deriving keys from it; it is never stored or logged. @throws {WireError} unauthorized */
export function tokenOf(request: Request): string {
  return presentedBy(request).token;
}

function presentedBy(request: Request): Presented {
  const presented = principals.get(request);
  if (!presented) throw new WireError('unauthorized', 'a valid bearer token is needed');
  return presented;
}

/** The handler's parameter: who sent the request. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext) =>
  principalOf(context.switchToHttp().getRequest<Request>()),
);

/** Metadata of a handler: what `Needs` says. */
export const SCOPE = 'tyrum.scope';

/** What the caller's token has to carry. A route without it is refused. */
export const Needs = (scope: NonNullable<RouteScope>): MethodDecorator => SetMetadata(SCOPE, scope);

/** Enforces `@Needs`. */
export class ScopeGuard implements CanActivate {
  private readonly reflector = new Reflector();

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    const principal = principalOf(request);
    const scope = this.reflector.get<NonNullable<RouteScope> | undefined>(SCOPE, context.getHandler());
    if (scope === undefined) throw new WireError('forbidden', 'this route is open to nobody');
    if (scope === 'authenticated' || allows(principal, scope)) return true;
    throw new RefusedError('scope', 'forbidden', `this needs the scope ${scope}`);
  }
}
