import { LIMITS } from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import { findKeys, findLiveKey, pruneKeys, reserveKeys, setResponse } from './sql/reserve-keys';

/** Under which name a request is the same request. */
export interface IdempotencyKey {
  readonly tenantId: string;
  /** What kind of request: keys of different routes have nothing to do with each other. */
  readonly route: string;
  /** Whose key it is: a device, a token, a schedule. */
  readonly principal: string;
  readonly key: string;
  /** `payloadFingerprint` of what was asked. */
  readonly fingerprint: string;
}

export type Reservation =
  /** The key was free and is now taken by this transaction. */
  | { readonly kind: 'fresh'; readonly response: string }
  /** The same request came before; this is what it was answered. */
  | { readonly kind: 'replay'; readonly response: string }
  /** The key was used for something else. */
  | { readonly kind: 'conflict' };

export type OnceOutcome<Response> =
  { readonly kind: 'done'; readonly response: Response; readonly replayed: boolean } | { readonly kind: 'conflict' };

interface RecordRow {
  readonly tenant_id: string;
  readonly route: string;
  readonly principal: string;
  readonly key: string;
  readonly fingerprint: string;
  /** Null in a record that a `TwoPhaseLedger` began and has not completed. */
  readonly response: string | null;
}

/**
 * Makes a repeated request the same request. A record and what it stands for are one commit, so a crash frees the key, and
 * a copy that arrives meanwhile waits for the first one's commit and gets its answer.
 */
export class IdempotencyLedger {
  constructor(private readonly ttlMs: number = LIMITS.idempotencyRetentionMs) {}

  /** Takes the keys that are free, each with its ready answer. Several requests under one key in one list are one request. */
  async reserveAll(
    tx: Tx,
    requests: readonly (IdempotencyKey & { readonly response: string })[],
  ): Promise<Reservation[]> {
    const firstOf = new Map<string, number>();
    requests.forEach((request, i) => {
      if (!firstOf.has(nameOf(request))) firstOf.set(nameOf(request), i);
    });
    const distinct = [...firstOf.values()].map((i) =>
      toRow(requests[i] as IdempotencyKey & { response: string }, this.ttlMs),
    );
    const taken = await tx.query<RecordRow>(reserveKeys, [distinct]);
    const fresh = new Set(taken.map(nameOfRow));
    const stored = new Map<string, Pick<RecordRow, 'fingerprint' | 'response'>>();
    for (const [name, i] of firstOf)
      if (fresh.has(name)) stored.set(name, requests[i] as IdempotencyKey & { response: string });
    const others = distinct.filter((row) => !fresh.has(nameOfRow(row)));
    if (others.length > 0) {
      for (const row of await tx.query<RecordRow>(findKeys, [JSON.stringify(others)])) stored.set(nameOfRow(row), row);
    }
    return requests.map((request, i) => {
      const name = nameOf(request);
      const record = stored.get(name);
      if (record?.fingerprint !== request.fingerprint) return { kind: 'conflict' };
      if (record.response === null) throw new Error(`${request.route} is a route of a two-phase ledger`);
      const kind = fresh.has(name) && firstOf.get(name) === i ? 'fresh' : 'replay';
      return { kind, response: record.response };
    });
  }

  /**
   * Takes keys that differ, each with its ready answer. False: one of them was taken before, and the transaction must not commit.
   */
  async reserveFresh(tx: Tx, requests: readonly (IdempotencyKey & { readonly response: string })[]): Promise<boolean> {
    const taken = await tx.query(reserveKeys, [requests.map((request) => toRow(request, this.ttlMs))]);
    return taken.length === requests.length;
  }

  /**
   * Does `work` and keeps its answer in one transaction, or returns the answer an earlier copy of the request got. Name the
   * conversations that `work` writes to: they are locked before the record is written, as event order demands.
   */
  async runOnce<Response extends object>(
    store: StateStore,
    request: IdempotencyKey & { readonly conversations?: readonly ConversationRef[] },
    work: (tx: Tx) => Promise<Response>,
  ): Promise<OnceOutcome<Response>> {
    return store.transaction(async (tx) => {
      await tx.lockConversations(request.conversations ?? []);
      const [reservation] = await this.reserveAll(tx, [{ ...request, response: '' }]);
      if (!reservation || reservation.kind === 'conflict') return { kind: 'conflict' };
      if (reservation.kind === 'replay') {
        return { kind: 'done', response: JSON.parse(reservation.response) as Response, replayed: true };
      }
      const response = await work(tx);
      const { tenantId, route, principal, key } = request;
      await tx.query(setResponse, [tenantId, route, principal, key, JSON.stringify(response)]);
      return { kind: 'done', response, replayed: false };
    });
  }

  /** What an earlier copy of the request came to; undefined when none was answered, or its time is up. Writes nothing. */
  async find(store: StateStore, request: IdempotencyKey): Promise<Exclude<Reservation, { kind: 'fresh' }> | undefined> {
    const { tenantId, route, principal, key, fingerprint } = request;
    const [record] = await store.read((db) => db.query<RecordRow>(findLiveKey, [tenantId, route, principal, key]));
    if (!record) return undefined;
    if (record.fingerprint !== fingerprint) return { kind: 'conflict' };
    return record.response === null ? undefined : { kind: 'replay', response: record.response };
  }

  /** Deletes up to `limit` expired records; fewer = none is left. */
  async prune(store: StateStore, limit: number): Promise<number> {
    return (await store.execute(pruneKeys, [limit])).length;
  }
}

function toRow(request: IdempotencyKey & { readonly response: string }, ttlMs: number) {
  const { tenantId, route, principal, key, fingerprint, response } = request;
  return { tenant_id: tenantId, route, principal, key, fingerprint, response, ttl_ms: ttlMs };
}

function nameOf(request: IdempotencyKey): string {
  return JSON.stringify([request.tenantId, request.route, request.principal, request.key]);
}

function nameOfRow(row: Pick<RecordRow, 'tenant_id' | 'route' | 'principal' | 'key'>): string {
  return JSON.stringify([row.tenant_id, row.route, row.principal, row.key]);
}
