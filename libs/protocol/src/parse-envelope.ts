import type { Envelope, ReceivedEvent, RequestEnvelope, ResponseEnvelope } from './envelope';
import { ContractError, type Violation } from './error-codes';
import { SCOPE_ID_FIELDS, type EventScopeKind } from './events';
import { findUnstorable } from './json-check';
import { childPath, isJsonObject, type JsonObject, type JsonValue } from './json';
import { LIMITS } from './limits';
import { parseBoundedJson, type JsonTextLimits } from './parse-json';

/** Names the request an error is the answer to. */
export type RequestRef = Pick<RequestEnvelope, 'request_id' | 'type'>;

/** A frame that is no envelope. When it was recognizably a request, `request` says to which one the error is the answer. */
export class EnvelopeError extends ContractError {
  constructor(
    { field, rule, message }: Violation,
    readonly request?: RequestRef,
  ) {
    super(field === '' ? message : `${field}: ${message}`, [{ field, rule, message }]);
  }
}

/**
 * Reads one text frame. Size and depth are looked at before anything is parsed; the envelope is closed; nothing in it is
 * unstorable (see `findUnstorable`). What a request's payload has to be is `validateRequest`'s business.
 * @throws {EnvelopeError}
 */
export function parseEnvelope(text: string, limits: JsonTextLimits = {}): Envelope {
  const frame = parseFrame(text, limits);
  const request = requestRefOf(frame);
  const unstorable = findUnstorable(frame);
  if (unstorable) throw new EnvelopeError(unstorable, request);
  const violation = violationOf(frame);
  if (violation) throw new EnvelopeError(violation, request);
  // The checks above are exactly what these types say.
  if (Object.hasOwn(frame, 'ok'))
    return { kind: 'response', response: frame as unknown as ResponseEnvelope<JsonValue> };
  if (Object.hasOwn(frame, 'event_id')) return { kind: 'event', event: frame as unknown as ReceivedEvent };
  return { kind: 'request', request: frame as unknown as RequestEnvelope };
}

function parseFrame(text: string, limits: JsonTextLimits): JsonObject {
  const parsed = parseBoundedJson(text, limits);
  if ('violation' in parsed) throw new EnvelopeError(parsed.violation);
  if (isJsonObject(parsed.value)) return parsed.value;
  throw new EnvelopeError({ field: '', rule: 'isObject', message: 'a frame must be a JSON object' });
}

type FieldTest = (value: JsonValue, field: string) => Violation | undefined;

interface EnvelopeShape {
  readonly required: Readonly<Record<string, FieldTest>>;
  readonly optional: Readonly<Record<string, FieldTest>>;
}

const anything: FieldTest = () => undefined;

function text(max: number): FieldTest {
  return (value, field) =>
    typeof value === 'string' && value.length > 0 && value.length <= max
      ? undefined
      : { field, rule: 'isString', message: `must be a string of 1 to ${max} characters` };
}

const object: FieldTest = (value, field) =>
  isJsonObject(value) ? undefined : { field, rule: 'isObject', message: 'must be an object' };

const REQUEST: EnvelopeShape = {
  required: { request_id: text(LIMITS.requestIdLength), type: text(LIMITS.requestTypeLength), payload: object },
  optional: { trace: anything },
};

const OK_RESPONSE: EnvelopeShape = {
  required: { request_id: text(LIMITS.requestIdLength), type: text(LIMITS.requestTypeLength), ok: anything },
  optional: { result: anything },
};

const ERROR_RESPONSE: EnvelopeShape = {
  required: { ...OK_RESPONSE.required, error: errorBody },
  optional: {},
};

const EVENT: EnvelopeShape = {
  required: {
    event_id: text(LIMITS.idLength),
    type: text(LIMITS.requestTypeLength),
    occurred_at: text(LIMITS.labelLength),
    payload: object,
  },
  optional: { scope, cursor: text(LIMITS.cursorLength) },
};

// A peer's own error codes pass: what it calls its failure is its business, and a node's failure must not turn into ours.
const ERROR_BODY: EnvelopeShape = {
  required: { code: text(LIMITS.labelLength), message: text(LIMITS.frameBytes) },
  optional: { details: anything },
};

function errorBody(value: JsonValue, field: string): Violation | undefined {
  return object(value, field) ?? closed(value as JsonObject, ERROR_BODY, field);
}

function scope(value: JsonValue, field: string): Violation | undefined {
  if (!isJsonObject(value)) return { field, rule: 'isObject', message: 'must be an object' };
  const { kind } = value;
  if (typeof kind !== 'string' || !Object.hasOwn(SCOPE_ID_FIELDS, kind)) {
    return { field: childPath(field, 'kind'), rule: 'isIn', message: 'must be a kind of scope' };
  }
  const idField = SCOPE_ID_FIELDS[kind as EventScopeKind];
  const id = idField === null ? {} : { [idField]: text(LIMITS.conversationKeyLength) };
  return closed(value, { required: { kind: anything, ...id }, optional: {} }, field);
}

function violationOf(frame: JsonObject): Violation | undefined {
  if (Object.hasOwn(frame, 'ok')) {
    if (frame['ok'] === true) return closed(frame, OK_RESPONSE, '');
    if (frame['ok'] === false) return closed(frame, ERROR_RESPONSE, '');
    return { field: 'ok', rule: 'isBoolean', message: 'must be true or false' };
  }
  return closed(frame, Object.hasOwn(frame, 'event_id') ? EVENT : REQUEST, '');
}

function closed(value: JsonObject, { required, optional }: EnvelopeShape, path: string): Violation | undefined {
  for (const [name, test] of Object.entries(required)) {
    const field = childPath(path, name);
    if (!Object.hasOwn(value, name)) return { field, rule: 'required', message: 'is missing' };
    const violation = test(value[name] as JsonValue, field);
    if (violation) return violation;
  }
  for (const [name, field] of Object.entries(value)) {
    if (Object.hasOwn(required, name)) continue;
    const test = Object.hasOwn(optional, name) ? optional[name] : undefined;
    const at = childPath(path, name);
    const violation = test
      ? test(field, at)
      : { field: at, rule: 'unknownField', message: 'is not a field of this message' };
    if (violation) return violation;
  }
  return undefined;
}

/** Who is to be told, if the frame says at least that much in a form that can be echoed. */
function requestRefOf(frame: JsonObject): RequestRef | undefined {
  const { request_id, type } = frame;
  if (Object.hasOwn(frame, 'ok') || Object.hasOwn(frame, 'event_id')) return undefined;
  if (REQUEST.required['request_id']?.(request_id ?? null, '') || REQUEST.required['type']?.(type ?? null, ''))
    return undefined;
  if (findUnstorable([request_id, type])) return undefined;
  return { request_id: request_id as string, type: type as string };
}
