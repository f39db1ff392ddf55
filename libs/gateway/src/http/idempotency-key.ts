import type { Principal } from '@tyrum/identity';
import { ContractError, LIMITS, payloadFingerprint } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { actorOf, type Answered, type RequestKey } from '../operations/once';

export const IDEMPOTENCY_KEY_HEADER = 'Idempotency-Key';

/**
 * The name under which a copy of this request is the same request. Without the header each request is its own, under a key
 * made here: repeating it after a lost answer may then do it twice, which is the caller's choice.
 * @param request.route e.g. `POST /v1/turns/:id/cancel`; with an id in it, that id belongs into `payload`
 * @throws {ContractError} when the header is not 1…255 printable characters
 */
export function idempotencyKey(
  request: Request,
  principal: Principal,
  { route, payload, newKey }: { route: string; payload: unknown; newKey: () => string },
): RequestKey {
  const given = request.get(IDEMPOTENCY_KEY_HEADER);
  if (given !== undefined && (given.length > LIMITS.idempotencyKeyLength || !/^[\x20-\x7e]+$/.test(given))) {
    throw ContractError.at(
      IDEMPOTENCY_KEY_HEADER,
      'idempotencyKey',
      `must be 1 to ${LIMITS.idempotencyKeyLength} printable characters`,
    );
  }
  return {
    tenantId: principal.tenantId,
    route: `http:${route}`,
    principal: principal.tokenId,
    actor: actorOf(principal),
    key: given ?? newKey(),
    fingerprint: payloadFingerprint(payload),
  };
}

/** The answer; a replayed one says so in `Idempotency-Replayed`. */
export function answerOf<T>(response: Response, { answer, replayed }: Answered<T>): T {
  if (replayed) response.setHeader('Idempotency-Replayed', 'true');
  return answer;
}
