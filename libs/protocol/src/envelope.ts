import type { WireErrorBody } from './error-codes';
import type { EventPayloads, EventScope, EventType } from './events';
import type { JsonObject, JsonValue } from './json';

/** A request of either side. `request_id` is the sender's; the answer repeats it and the type. */
export interface RequestEnvelope {
  request_id: string;
  type: string;
  payload: JsonObject;
  trace?: JsonValue;
}

export interface OkResponse<T = unknown> {
  request_id: string;
  type: string;
  ok: true;
  result?: T;
}

export interface ErrorResponse {
  request_id: string;
  type: string;
  ok: false;
  error: WireErrorBody;
}

export type ResponseEnvelope<T = unknown> = OkResponse<T> | ErrorResponse;

/** An event of a type we know. */
export interface EventEnvelope<T extends EventType = EventType> {
  event_id: string;
  type: T;
  occurred_at: string;
  scope?: EventScope;
  payload: EventPayloads[T];
  /** An addition of ours: on durable events, for peers that sent `resume`. Opaque. */
  cursor?: string;
}

/** An event as received: its type may be one we do not know, so its payload is open. */
export interface ReceivedEvent {
  event_id: string;
  type: string;
  occurred_at: string;
  scope?: EventScope;
  payload: JsonObject;
  cursor?: string;
}

/** What one frame holds. */
export type Envelope =
  | { kind: 'request'; request: RequestEnvelope }
  | { kind: 'response'; response: ResponseEnvelope<JsonValue> }
  | { kind: 'event'; event: ReceivedEvent };

/** The answer to a request that went well. Without `result` when that is undefined. */
export function okResponse<T>(request: Pick<RequestEnvelope, 'request_id' | 'type'>, result?: T): OkResponse<T> {
  const { request_id, type } = request;
  return { request_id, type, ok: true, ...(result === undefined ? {} : { result }) };
}

/** The answer to a request that did not; `error` is typically `WireError.toBody()`. */
export function errorResponse(
  { request_id, type }: Pick<RequestEnvelope, 'request_id' | 'type'>,
  error: WireErrorBody,
): ErrorResponse {
  return { request_id, type, ok: false, error };
}

export interface EventParts<T extends EventType> {
  readonly eventId: string;
  readonly type: T;
  /** An instant; milliseconds since the epoch. */
  readonly occurredAtMs: number;
  readonly payload: EventPayloads[T];
  readonly scope?: EventScope;
  readonly cursor?: string;
}

/** An event's envelope. */
export function eventEnvelope<T extends EventType>(event: EventParts<T>): EventEnvelope<T> {
  return {
    event_id: event.eventId,
    type: event.type,
    occurred_at: new Date(event.occurredAtMs).toISOString(),
    ...(event.scope === undefined ? {} : { scope: event.scope }),
    payload: event.payload,
    ...(event.cursor === undefined ? {} : { cursor: event.cursor }),
  };
}
