import type { TokenCreated } from './http';
import { LIMITS } from './limits';
import { Flag, Optional, rule, WholeNumber } from './payload-fields';

const SLUG = '^[a-z0-9][a-z0-9-]{0,62}$';

/** `PATCH /v1/tenants/:id`. A quota of 0 lifts it: the installation's own limit holds then. */
export class TenantUpdateBody {
  /** A disabled tenant's tokens hold nothing, its connections end, and its turns and schedules rest until it is enabled again. */
  @Optional()
  @Flag()
  disabled?: boolean;

  /** Long connections at all edges on one Redis, or else at each. */
  @Optional()
  @WholeNumber(0, LIMITS.quotaMax)
  max_connections?: number;

  /** Requests in ten seconds. */
  @Optional()
  @WholeNumber(0, LIMITS.quotaMax)
  max_requests?: number;

  /** What its artifacts may take, in bytes. */
  @Optional()
  @WholeNumber(0, LIMITS.quotaBytesMax)
  max_stored_bytes?: number;
}

/** `POST /v1/tenants`. */
export class TenantCreateBody extends TenantUpdateBody {
  @rule('slug', 'must be 1 to 63 of a-z 0-9 -, and begin with no -', isSlug, { type: 'string', pattern: SLUG })
  slug: string;
}

export interface TenantView {
  tenant_id: string;
  slug: string;
  created_at: string;
  disabled_at: string | null;
  max_connections: number | null;
  max_requests: number | null;
  max_stored_bytes: number | null;
  /** What its artifacts take, with the room kept for those that are being stored. */
  stored_bytes: number;
}

/** A new tenant, and the token of its first admin: the only time it is shown. */
export interface TenantCreated {
  tenant: TenantView;
  admin: TokenCreated;
}

export interface TenantList {
  tenants: TenantView[];
}

function isSlug(value: unknown): boolean {
  return typeof value === 'string' && new RegExp(SLUG).test(value);
}
