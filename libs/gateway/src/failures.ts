import { BlobStoreFullError, BlobStoreUnavailableError, StoredBytesExceededError } from '@tyrum/evidence';
import { OverloadedError, QueueFullError } from '@tyrum/execution';
import { WireError, type WireErrorBody } from '@tyrum/protocol';
import { StoreUnavailableError, UnknownCommitError } from '@tyrum/statestore';
import type { Refusal } from './limits/refusal-audit';

/** The idempotency key was used with another payload. HTTP answers 422, the WebSocket `conflict`. */
export class KeyReusedError extends WireError {
  constructor() {
    super('conflict', 'this request id or idempotency key was used with another payload');
  }
}

/** `not_found` for something of that kind; says the same for what belongs to another tenant. */
export function notFound(what: string): WireError {
  return new WireError('not_found', `there is no such ${what}`);
}

/** `not_found` for what only those who run the installation would have found; that somebody else asked for it is audited. */
export function hiddenFromTenants(what: string): RefusedError {
  return new RefusedError('operator', 'not_found', notFound(what).message);
}

/** A refusal for who asked, or for what they have used up. The door that answers it has it audited. */
export class RefusedError extends WireError {
  /** @param reason a stable word, as `Refusal` has it */
  constructor(
    readonly reason: string,
    ...answer: ConstructorParameters<typeof WireError>
  ) {
    super(...answer);
  }
}

/** Why somebody was refused; undefined for what is wrong with the request itself, or with us. */
export function refusalOf(error: unknown): Pick<Refusal, 'type' | 'reason'> | undefined {
  if (error instanceof RefusedError) {
    return { type: error.code === 'unauthorized' ? 'auth.failed' : 'authz.denied', reason: error.reason };
  }
  if (error instanceof QueueFullError) return { type: 'authz.denied', reason: 'queue' };
  if (error instanceof StoredBytesExceededError) return { type: 'authz.denied', reason: 'stored_bytes' };
  return undefined;
}

/**
 * What the peer is told about an error. Everything that is not a typed answer is told as `internal` without its message,
 * which may name hosts, statements or values, and goes to `onUnexpected` for the log.
 */
export function wireErrorOf(error: unknown, onUnexpected: (error: unknown) => void): WireErrorBody {
  if (error instanceof WireError) return error.toBody();
  if (
    [OverloadedError, StoreUnavailableError, BlobStoreFullError, BlobStoreUnavailableError].some(
      (shedding) => error instanceof shedding,
    )
  ) {
    const { retryAfterMs } = error as OverloadedError;
    const message = 'the gateway cannot take this now; nothing was written, try again';
    return { code: 'overloaded', message, details: { retry_after_ms: retryAfterMs } };
  }
  if (error instanceof QueueFullError) {
    return { code: 'overloaded', message: error.message, details: { retry_after_ms: error.retryAfterMs } };
  }
  if (error instanceof StoredBytesExceededError) {
    // Not `overloaded`, which asks to be tried again: this stands until something goes or the quota grows.
    const { maxStoredBytes: max_stored_bytes, storedBytes: stored_bytes } = error;
    return {
      code: 'conflict',
      message: error.message,
      details: { rule: 'max_stored_bytes', max_stored_bytes, stored_bytes },
    };
  }
  onUnexpected(error);
  if (error instanceof UnknownCommitError) {
    return {
      code: 'internal',
      message: 'the outcome is unknown: repeat the request with the same request_id or idempotency key to learn it',
    };
  }
  return { code: 'internal', message: 'the gateway failed to handle this request' };
}
