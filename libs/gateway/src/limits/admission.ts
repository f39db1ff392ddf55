import type { Principal } from '@tyrum/identity';
import { WireError } from '@tyrum/protocol';
import type { RequestWindows } from './request-windows';

/** Requests in one window of `RequestWindows`. */
export interface RequestLimits {
  readonly perAddress: number;
  readonly perToken: number;
  readonly perTenant: number;
}

/** Whom a limit is kept for. */
export type LimitedBy = 'address' | 'token' | 'tenant';

/** Decides whether another request may come in: one place for HTTP, upgrades and the WebSocket. */
export class Admission {
  constructor(
    private readonly windows: RequestWindows,
    private readonly limits: RequestLimits,
    private readonly onRefused: (by: LimitedBy) => void,
  ) {}

  /** How long that address has to wait, in ms; 0 = it may. */
  waitOf(address: string): number {
    const wait = this.windows.take(`a:${address}`, this.limits.perAddress);
    if (wait > 0) this.onRefused('address');
    return wait;
  }

  /** @throws {WireError} rate_limited */
  requireAddress(address: string): void {
    const wait = this.waitOf(address);
    if (wait > 0) throw tooMany('address', wait);
  }

  /** @throws {WireError} rate_limited */
  requirePrincipal({ tenantId, tokenId, maxRequests }: Pick<Principal, 'tenantId' | 'tokenId' | 'maxRequests'>): void {
    this.require('token', tokenId, this.limits.perToken);
    this.require('tenant', tenantId, maxRequests ?? this.limits.perTenant);
  }

  private require(by: LimitedBy, id: string, limit: number): void {
    const wait = this.windows.take(`${by}:${id}`, limit);
    if (wait === 0) return;
    this.onRefused(by);
    throw tooMany(by, wait);
  }
}

function tooMany(by: LimitedBy, waitMs: number): WireError {
  return new WireError('rate_limited', `too many requests of this ${by}`, { retry_after_ms: waitMs });
}
