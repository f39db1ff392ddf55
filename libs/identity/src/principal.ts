import { DEFAULT_TENANT_ID, type OperatorScope, type TokenRole } from '@tyrum/protocol';

/** Who holds a verified token, and what it lets them do. */
export interface Principal {
  readonly tenantId: string;
  readonly tokenId: string;
  readonly role: TokenRole;
  readonly scopes: readonly OperatorScope[];
  /** The only device that may use the token; absent for any. */
  readonly deviceId?: string;
  /** Somebody logged in for it elsewhere, and it ends with that session. */
  readonly isSession?: boolean;
  /** The tenant's quotas; absent: the installation's own limits. */
  readonly maxConnections?: number;
  readonly maxRequests?: number;
}

/**
 * Whether the principal may do what needs `scope`. Denies by default: only an `admin`, and only because every read and
 * write is made in its own tenant, passes without carrying the scope.
 */
export function allows(principal: Pick<Principal, 'role' | 'scopes'>, scope: OperatorScope): boolean {
  return principal.role === 'admin' || principal.scopes.includes(scope);
}

/**
 * Whether the principal is of the tenant that runs the installation. An admin of another one is an admin there alone: what
 * belongs to no tenant is not theirs to see.
 */
export function isOperator({ tenantId }: Pick<Principal, 'tenantId'>): boolean {
  return tenantId === DEFAULT_TENANT_ID;
}
