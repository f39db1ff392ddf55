import { LIMITS, type ResponseEnvelope } from '@tyrum/protocol';
import type { Clock } from './clock';
import { BacklogError, RequestTimeoutError, wireErrorOf } from './errors';

export interface PendingRequest {
  readonly requestId: string;
  readonly type: string;
  readonly payload: object;
  readonly timeoutMs: number;
}

interface Waiting {
  readonly text: string;
  readonly settle: (response: ResponseEnvelope) => void;
  readonly fail: (error: Error) => void;
  /** On the present connection. */
  isSent: boolean;
}

/** Requests that have no answer yet, whether sent or not. */
const MAX_PENDING = 1_000;

/**
 * Requests on their way. They outlive a connection: after a reconnect each is sent again under the id it had, and the
 * gateway answers with the outcome of the first. No more are in flight than the gateway takes on one connection.
 */
export class PendingRequests {
  private readonly waiting = new Map<string, Waiting>();
  private send: ((text: string) => void) | undefined;

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.waiting.size;
  }

  /** @throws {WireError} the answer @throws {RequestTimeoutError} @throws {BacklogError} when too many wait */
  add({ requestId, type, payload, timeoutMs }: PendingRequest): Promise<unknown> {
    if (this.waiting.size >= MAX_PENDING) return Promise.reject(new BacklogError('requests', MAX_PENDING));
    if (this.waiting.has(requestId)) return Promise.reject(new TypeError(`request id ${requestId} is in use`));
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancelTimer();
        this.waiting.delete(requestId);
        this.pump();
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const settle = (response: ResponseEnvelope): void => {
        if (!response.ok) return fail(wireErrorOf(response.error));
        end();
        resolve(response.result);
      };
      const cancelTimer = this.clock.after(timeoutMs, () => fail(new RequestTimeoutError(type, requestId, timeoutMs)));
      const text = JSON.stringify({ request_id: requestId, type, payload });
      this.waiting.set(requestId, { text, settle, fail, isSent: false });
      this.pump();
    });
  }

  /** A connection is there: everything unanswered goes out over it, in the order in which it was asked. */
  connected(send: (text: string) => void): void {
    this.send = send;
    for (const request of this.waiting.values()) request.isSent = false;
    this.pump();
  }

  disconnected(): void {
    this.send = undefined;
  }

  settle(response: ResponseEnvelope): void {
    // Unknown ids are answers that came after their timeout.
    this.waiting.get(response.request_id)?.settle(response);
  }

  /** Nothing will be answered any more. */
  failAll(error: Error): void {
    this.send = undefined;
    for (const request of [...this.waiting.values()]) request.fail(error);
  }

  private pump(): void {
    if (!this.send) return;
    let inFlight = 0;
    for (const request of this.waiting.values()) {
      if (inFlight >= LIMITS.requestsInFlightPerConnection) return;
      inFlight += 1;
      if (request.isSent) continue;
      request.isSent = true;
      this.send(request.text);
    }
  }
}
