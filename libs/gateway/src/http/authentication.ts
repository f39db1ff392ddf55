import type { Principal, TokenStore } from '@tyrum/identity';
import { DEFAULT_TENANT_ID, WireError } from '@tyrum/protocol';
import type { NextFunction, Request, Response } from 'express';
import type { Admission } from '../limits/admission';
import type { ClientAddresses } from '../limits/client-addresses';
import type { RefusalAudit } from '../limits/refusal-audit';
import { credentialsOf } from '../ws/credentials';
import { requireOwnPage } from './browser-guard';
import type { DeviceProofs } from './device-proofs';
import { rememberPrincipal } from './request-principal';

export interface AuthenticationPorts {
  readonly tokens: TokenStore;
  readonly proofs: DeviceProofs;
  readonly admission: Admission;
  readonly addresses: ClientAddresses;
  readonly audit: RefusalAudit;
  readonly door: 'http' | 'mcp';
  /** Exact origins whose pages may use the cookie. */
  readonly allowedOrigins: ReadonlySet<string>;
}

/**
 * Lets through who has a valid token: in the `Authorization` header, or in the cookie of an allowed origin's page. It stands
 * before the body is read: a stranger's megabyte is not worth parsing.
 */
export function authentication(ports: AuthenticationPorts) {
  const check = async (request: Request): Promise<void> => {
    ports.admission.requireAddress(ports.addresses.of(request), ports.door);
    const credentials = credentialsOf({ ...request.headers, 'sec-websocket-protocol': undefined });
    const token = credentials.from === 'nowhere' ? undefined : credentials.token;
    const principal = token === undefined ? undefined : await ports.tokens.verify(token);
    if (token === undefined || !principal) {
      await noteFailure(ports, token);
      throw new WireError('unauthorized', 'a valid bearer token is needed');
    }
    await noting(ports, principal, 'origin', () => {
      if (credentials.from === 'cookie') requireOwnPage(request, token, ports.allowedOrigins);
    });
    await noting(ports, principal, 'device_proof', async () => {
      if (isBound(principal)) await ports.proofs.require(request, principal);
    });
    ports.admission.requirePrincipal(principal, ports.door);
    rememberPrincipal(request, principal, token);
  };
  return (request: Request, _response: Response, next: NextFunction): void => {
    check(request).then(() => next(), next);
  };
}

/** Lets an address through as often as it may ask. */
export function addressLimit(
  { admission, addresses }: Pick<AuthenticationPorts, 'admission' | 'addresses'>,
  door: 'http' | 'webhook',
) {
  return (request: Request, _response: Response, next: NextFunction): void => {
    try {
      admission.requireAddress(addresses.of(request), door);
    } catch (error) {
      return next(error);
    }
    next();
  };
}

/** A token that is known by its id is its tenant's business; the rest is the operator's of the installation. */
async function noteFailure({ tokens, audit, door }: AuthenticationPorts, token: string | undefined): Promise<void> {
  const owner = token === undefined ? undefined : await tokens.ownerOf(token);
  const reason = token === undefined ? 'no_token' : 'bad_token';
  audit.note({ type: 'auth.failed', tenantId: DEFAULT_TENANT_ID, ...owner, door, reason });
}

async function noting(
  { audit, door }: AuthenticationPorts,
  { tenantId, tokenId }: Principal,
  reason: string,
  check: () => void | Promise<void>,
): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (error instanceof WireError) audit.note({ type: 'auth.failed', tenantId, tokenId, door, reason });
    throw error;
  }
}

function isBound(principal: Principal): principal is Principal & { readonly deviceId: string } {
  return principal.deviceId !== undefined;
}
