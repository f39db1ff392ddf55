import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import { acquireLease } from './sql/acquire-lease';
import { noteLostLeases } from './sql/note-lost-leases';
import {
  holdLease,
  listLeaseHistory,
  listLeases,
  pruneLeaseHistory,
  releaseLease,
  renewLeases,
} from './sql/keep-leases';

/** What can be owned: a kind (`scheduler-shard`, `desktop-host`) and a name within it. */
export interface LeaseName {
  readonly kind: string;
  readonly name: string;
}

/** A lease as its holder knows it. The token only ever grows; who has a lower one is stale. */
export interface HeldLease extends LeaseName {
  readonly token: number;
}

/** A lease as it lies in the database; times in ms since the epoch. */
export interface LeaseRow extends LeaseName {
  readonly owner: string | null;
  readonly token: number;
  readonly expires_at: number;
  readonly acquired_at: number;
  /** By the database's clock, when it was read. */
  readonly held: boolean;
}

/** One change of hands. Of conversations only takeovers and losses are kept: the rest would double their writes. */
export interface LeaseHistoryRow {
  readonly id: number;
  readonly token: number;
  readonly owner: string;
  readonly taken_from: string | null;
  /** `lost`: the owner found out that it was too late to renew, or that somebody else had taken it; `at`: when it said so. */
  readonly reason: 'acquired' | 'taken_over' | 'released' | 'lost';
  readonly at: number;
}

/** Leases of one kind are as many as hosts or shards; a list is never longer. */
const MAX_LISTED = 10_000;

/** What a conversation's lease, which lies in its own row, is called in the history. */
export function conversationLease({ tenantId, conversationKey }: ConversationRef): LeaseName {
  return { kind: 'conversation', name: `${tenantId}/${conversationKey}` };
}

/**
 * Time-bounded ownership. The database's clock alone decides what has expired. Losing a race is an answer, not an error.
 *
 *     free ──acquire──▶ held(owner, token) ──release──▶ free
 *                        │ ▲ renew
 *                        ▼ │
 *                      expired ──acquire by anybody──▶ held(other, token + 1)      the old token writes nothing any more
 */
export class Leases {
  constructor(private readonly store: StateStore) {}

  /** Takes the lease if it is free, expired, or the owner's own from before a restart. Undefined = somebody else holds it. */
  async acquire({ kind, name }: LeaseName, owner: string, ttlMs: number): Promise<HeldLease | undefined> {
    const rows = await this.store.execute<{ token: number }>(acquireLease, [kind, name, owner, ttlMs]);
    return rows[0] && { kind, name, token: rows[0].token };
  }

  /** Extends all of them in one statement. Returns, in their order, which are still held. */
  async renewAll(leases: readonly HeldLease[], owner: string, ttlMs: number): Promise<boolean[]> {
    if (leases.length === 0) return [];
    const rows = await this.store.execute<LeaseName>(renewLeases, [JSON.stringify(leases), owner, ttlMs]);
    const kept = new Set(rows.map(leaseKey));
    return leases.map((lease) => kept.has(leaseKey(lease)));
  }

  /** Lets the lease go, if the token still holds it. */
  async release({ kind, name, token }: HeldLease): Promise<void> {
    await this.store.execute(releaseLease, [kind, name, token]);
  }

  /** The fence for other writes of the same transaction: false = the lease is lost, write nothing. Locks the lease's row. */
  async isHeld(tx: Tx, { kind, name, token }: HeldLease): Promise<boolean> {
    return (await tx.query(holdLease, [kind, name, token])).length > 0;
  }

  /** Writes into the history that their owner has lost these, each once. */
  async noteLost(leases: readonly HeldLease[], owner: string): Promise<void> {
    await this.store.execute(noteLostLeases, [JSON.stringify(leases), owner]);
  }

  /** The first `limit` leases of a kind, or of all, by kind and name; `after` is the last one of the page before. */
  async list(
    kind?: string,
    { limit = MAX_LISTED, after }: { readonly limit?: number; readonly after?: LeaseName } = {},
  ): Promise<LeaseRow[]> {
    const params = [kind ?? null, after?.kind ?? null, after?.name ?? null, limit];
    const rows = await this.store.read((db) => db.query<LeaseRow>(listLeases, params));
    return rows.map((row) => ({ ...row, held: Boolean(row.held) }));
  }

  /** Newest first; `before` is the last one's id of the page before. */
  history({ kind, name }: LeaseName, limit: number, before?: number): Promise<LeaseHistoryRow[]> {
    const params = [kind, name, before ?? null, limit];
    return this.store.read((db) => db.query<LeaseHistoryRow>(listLeaseHistory, params));
  }

  /** Deletes up to `limit` entries of the history older than `olderThanMs`. Returns how many; fewer = none is left. */
  async pruneHistory(olderThanMs: number, limit: number): Promise<number> {
    return (await this.store.execute(pruneLeaseHistory, [olderThanMs, limit])).length;
  }
}

/** A lease's name as one text. */
export function leaseKey({ kind, name }: LeaseName): string {
  return JSON.stringify([kind, name]);
}
