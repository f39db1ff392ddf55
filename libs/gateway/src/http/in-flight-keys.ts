import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { payloadFingerprint, ROUTES, WireError, type RouteSpec } from '@tyrum/protocol';
import type { Request } from 'express';
import { finalize, type Observable } from 'rxjs';
import { KeyReusedError } from '../failures';
import { IDEMPOTENCY_KEY_HEADER } from './idempotency-key';
import { principalOf } from './request-principal';

/** The first copy is nearly always answered by then. */
const RETRY_AFTER_MS = 1_000;

/**
 * Refuses a copy of a keyed request whose first is still being carried out by this edge: 409 with `Retry-After`. What makes
 * copies one request is the record in the database; this only spares the copy, and us, the wait for it. So a copy that
 * comes to another edge meanwhile waits for the first one's commit, and gets its answer.
 */
export class InFlightKeys implements NestInterceptor {
  /** Fingerprints of what was asked; no more than the requests that are let in. */
  private readonly asked = new Map<string, string>();

  /** @throws {WireError} conflict, with `retry_after_ms` @throws {KeyReusedError} */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const key = request.get(IDEMPOTENCY_KEY_HEADER);
    const route = `${request.method} ${String((request as { route?: { path?: unknown } }).route?.path)}`;
    if (key === undefined || !(ROUTES as Readonly<Record<string, RouteSpec>>)[route]?.keyed) return next.handle();
    const { tenantId, tokenId } = principalOf(request);
    const name = JSON.stringify([tenantId, tokenId, route, key]);
    const fingerprint = payloadFingerprint([request.params, request.body ?? null]);
    const first = this.asked.get(name);
    if (first !== undefined && first !== fingerprint) throw new KeyReusedError();
    if (first !== undefined) {
      throw new WireError('conflict', 'a request with this idempotency key is being carried out', {
        retry_after_ms: RETRY_AFTER_MS,
      });
    }
    this.asked.set(name, fingerprint);
    return next.handle().pipe(finalize(() => void this.asked.delete(name)));
  }
}
