import type { Principal } from '@tyrum/identity';
import { DEFAULT_TENANT_ID, WireError } from '@tyrum/protocol';
import type { Refusal } from './refusal-audit';
import type { RequestWindows } from './request-windows';

/** Requests in one window of `RequestWindows`. */
export interface RequestLimits {
  readonly perAddress: number;
  readonly perToken: number;
  readonly perTenant: number;
}

/** Whom a limit is kept for. */
export type LimitedBy = 'address' | 'token' | 'trigger' | 'tenant';

type Asker = Pick<Refusal, 'tenantId' | 'tokenId' | 'door'>;

/** Decides whether another request may come in: one place for HTTP, upgrades and the WebSocket. */
export class Admission {
  constructor(
    private readonly windows: RequestWindows,
    private readonly limits: RequestLimits,
    private readonly onRefused: (by: LimitedBy, refusal: Refusal) => void,
  ) {}

  /** How long that address has to wait, in ms; 0 = it may. */
  waitOf(address: string, door: Refusal['door']): number {
    const wait = this.windows.take(`a:${address}`, this.limits.perAddress);
    // Nobody's yet, and so the installation's. Addresses are not told apart: a flood from many of them is one refusal.
    if (wait > 0) this.refused('address', { tenantId: DEFAULT_TENANT_ID, door });
    return wait;
  }

  /** @throws {WireError} rate_limited */
  requireAddress(address: string, door: Refusal['door']): void {
    const wait = this.waitOf(address, door);
    if (wait > 0) throw tooMany('address', wait);
  }

  /** @throws {WireError} rate_limited */
  requirePrincipal(principal: Principal, door: Refusal['door']): void {
    const { tenantId, tokenId, maxRequests = this.limits.perTenant } = principal;
    const asker = { tenantId, tokenId, door };
    this.require('token', tokenId, { limit: this.limits.perToken, asker });
    this.require('tenant', tenantId, { limit: maxRequests, asker });
  }

  /** Limits the calls of a webhook as requests of a token. @throws {WireError} rate_limited */
  requireTrigger({
    tenantId,
    triggerId,
    maxRequests = this.limits.perTenant,
  }: Pick<Principal, 'tenantId' | 'maxRequests'> & { readonly triggerId: string }): void {
    const asker = { tenantId, door: 'webhook' } as const;
    this.require('trigger', triggerId, { limit: this.limits.perToken, asker });
    this.require('tenant', tenantId, { limit: maxRequests, asker });
  }

  private require(by: LimitedBy, id: string, { limit, asker }: { limit: number; asker: Asker }): void {
    const wait = this.windows.take(`${by}:${id}`, limit);
    if (wait === 0) return;
    this.refused(by, asker);
    throw tooMany(by, wait);
  }

  private refused(by: LimitedBy, asker: Asker): void {
    this.onRefused(by, { type: 'authz.denied', reason: 'rate', subject: by, ...asker });
  }
}

function tooMany(by: LimitedBy, waitMs: number): WireError {
  return new WireError('rate_limited', `too many requests of this ${by}`, { retry_after_ms: waitMs });
}
