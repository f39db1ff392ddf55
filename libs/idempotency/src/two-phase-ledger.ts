import { LIMITS } from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import type { IdempotencyKey } from './idempotency-ledger';
import { abandonKey, beginKey, completeKey } from './sql/hold-keys';
import { findKeys } from './sql/reserve-keys';

export interface TwoPhaseOptions {
  /** How long a beginning holds the key, in milliseconds. Longer than the work may take: after it, others may begin. */
  readonly holdMs: number;
  /** How long an answer is kept. */
  readonly ttlMs?: number;
}

export type Beginning =
  /** The key is the caller's: do the work, then complete or abandon it. */
  | { readonly kind: 'started' }
  /** The same request is being worked on. */
  | { readonly kind: 'in_flight' }
  /** The same request came before; this is what it was answered. */
  | { readonly kind: 'replay'; readonly response: object }
  /** The key was used for something else. */
  | { readonly kind: 'conflict' };

/**
 * For work that cannot be one transaction with its record. What it promises is less than `IdempotencyLedger` does: a holder
 * that dies leaves the key held until `holdMs` is over, and its work may have happened.
 *
 *     free ──begin──▶ in flight(owner) ──complete──▶ completed ──ttl──▶ free
 *       ▲                │      │
 *       └────abandon─────┘      └──holdMs──▶ in flight(next owner): the first can complete nothing any more
 */
export class TwoPhaseLedger {
  constructor(
    private readonly store: StateStore,
    private readonly options: TwoPhaseOptions,
  ) {}

  /** @param owner unique to this attempt */
  begin(request: IdempotencyKey, owner: string): Promise<Beginning> {
    return this.store.transaction(async (tx) => {
      const params = [...nameOf(request), request.fingerprint, owner, this.options.holdMs];
      if ((await tx.query(beginKey, params)).length > 0) return { kind: 'started' };
      const { tenantId: tenant_id, route, principal, key } = request;
      const names = JSON.stringify([{ tenant_id, route, principal, key }]);
      const [record] = await tx.query<{ fingerprint: string; response: string | null }>(findKeys, [names]);
      if (!record) throw new Error('a record that could not be begun is there and locked');
      if (record.fingerprint !== request.fingerprint) return { kind: 'conflict' };
      if (record.response === null) return { kind: 'in_flight' };
      return { kind: 'replay', response: JSON.parse(record.response) as object };
    });
  }

  /** Keeps the answer, in the transaction that records the work's outcome. False = the key was lost to another attempt. */
  async complete(tx: Tx, request: IdempotencyKey, owner: string, response: object): Promise<boolean> {
    const params = [
      ...nameOf(request),
      owner,
      JSON.stringify(response),
      this.options.ttlMs ?? LIMITS.idempotencyRetentionMs,
    ];
    return (await tx.query(completeKey, params)).length > 0;
  }

  /** Frees the key because nothing happened. False = it was lost to another attempt. */
  async abandon(request: IdempotencyKey, owner: string): Promise<boolean> {
    return (await this.store.execute(abandonKey, [...nameOf(request), owner])).length > 0;
  }
}

function nameOf({ tenantId, route, principal, key }: IdempotencyKey): string[] {
  return [tenantId, route, principal, key];
}
