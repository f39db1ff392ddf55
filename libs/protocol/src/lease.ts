import { LIMITS } from './limits';
import type { Page } from './page';
import { Optional, Text, WholeNumber } from './payload-fields';

/** `GET /v1/leases`. */
export class LeaseListPayload {
  /** Only leases of this kind; `conversation` are the tenant's own. */
  @Optional()
  @Text(LIMITS.leaseKindLength)
  kind?: string;

  @WholeNumber(1, LIMITS.leaseListMax)
  limit: number = LIMITS.leaseListDefault;

  @Optional()
  @Text(LIMITS.listCursorLength)
  cursor?: string;
}

/** `GET /v1/leases/:kind/:name/history`. */
export class LeaseHistoryPayload {
  @WholeNumber(1, LIMITS.leaseListMax)
  limit: number = LIMITS.leaseListDefault;

  @Optional()
  @Text(LIMITS.cursorLength)
  cursor?: string;
}

/** Who owns something, by the database's clock when it was read. */
export interface Lease {
  kind: string;
  /** A conversation's key, for those of kind `conversation`. */
  name: string;
  /** The process; null: free. */
  owner: string | null;
  /** `timeline.counter`. */
  token: string;
  /** False: it was let go, or ran out and nobody has taken it yet. */
  held: boolean;
  /** When the owner took it, where that was noted. */
  since: string | null;
  expires_at: string | null;
  /** Of a conversation: holders in a row that fell silent since it last got anywhere. */
  takeovers?: number;
}

export interface LeaseListResult extends Page {
  leases: Lease[];
}

export interface LeaseChange {
  at: string;
  /** `lost`: the owner found out that it had lost it, and said so at that time. */
  reason: 'acquired' | 'taken_over' | 'released' | 'lost';
  owner: string;
  token: string;
  /** Who had been silent. */
  taken_from: string | null;
}

export interface LeaseHistoryResult extends Page {
  /** Newest first. Of conversations only `taken_over` and `lost` are kept. */
  history: LeaseChange[];
}
