import {
  CloseCode,
  EVENTS,
  isRequestType,
  LIMITS,
  REQUESTS,
  SUBPROTOCOL,
  TaskCancelPayload,
  TaskCancelResult,
  TaskExecutePayload,
  TaskExecuteResult,
  type EventType,
  type JsonSchema,
  type RequestType,
} from '../../libs/protocol/src/index';
import type { SchemaBook } from './schema-book';

const id = { type: 'string', minLength: 1, maxLength: LIMITS.requestIdLength };
const SOCKET = '#/channels/socket';

/** Stands for every request type that is not in the catalogue: it is refused under the name it came with. */
const UNKNOWN = 'unknown';

type Direction = 'request' | 'response' | 'event';

/** The WebSocket as an AsyncAPI 3 document, from the gateway's side: it receives requests and sends events. */
export function asyncApiDocument(book: SchemaBook): JsonSchema {
  const messages = {
    ...requestMessages(book),
    ...eventMessages(book),
    ...gatewayMessages(book),
    [`response.${UNKNOWN}`]: unknownRefused(book),
  };
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Tyrum',
      version: '1.0.0',
      description: [
        `The WebSocket of an edge: subprotocol \`${SUBPROTOCOL}\`, JSON text frames, one envelope a frame.`,
        'The HTTP door is described in /openapi.json. Close codes:',
        Object.entries(CloseCode)
          .map(([name, code]) => `${code} ${name}`)
          .join(' · '),
      ].join(' '),
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: '/ws',
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations: operations(Object.keys(messages)),
    components: { messages },
  };
  return { ...document, components: { messages, schemas: book.usedBy(document) } };
}

/** A message that nobody sends has no operation. */
function isReserved(name: string): boolean {
  const [direction, type] = split(name);
  return direction === 'event' && EVENTS[type as EventType].reserved === true;
}

/** A request's messages carry its name behind what they are: `request.turn.list`, `response.turn.list`. */
function operations(names: readonly string[]): JsonSchema {
  const message = (name: string): JsonSchema => ({ $ref: `${SOCKET}/messages/${name}` });
  const channel = { $ref: SOCKET };
  const reply = (type: string): JsonSchema => ({ reply: { channel, messages: [message(`response.${type}`)] } });
  const entries = names
    .filter((name) => !name.startsWith('response.') && !isReserved(name))
    .map((name): [string, JsonSchema] => {
      const [direction, type] = split(name);
      const isOurs = direction === 'event' || !isRequestType(type);
      const answer = direction === 'request' ? reply(type) : {};
      return [name, { action: isOurs ? 'send' : 'receive', channel, messages: [message(name)], ...answer }];
    });
  const ping = {
    action: 'send',
    channel,
    summary: 'The gateway asks nodes whether they are there. Any frame is an answer.',
    messages: [message('request.ping')],
    ...reply('ping'),
  };
  return { ...Object.fromEntries(entries), 'send.request.ping': ping };
}

function split(name: string): [Direction, string] {
  const at = name.indexOf('.');
  return [name.slice(0, at) as Direction, name.slice(at + 1)];
}

function requestMessages(book: SchemaBook): Record<string, JsonSchema> {
  const results = book.fieldsOf('RequestResults');
  const entries = (Object.keys(REQUESTS) as RequestType[]).flatMap((type) => {
    const { payload, scope, roles } = REQUESTS[type];
    return pair(type, {
      payload: book.ofClass(payload),
      result: results[type],
      error: book.ofType('WireErrorBody'),
      facts: { 'x-scope': scope, 'x-roles': roles },
    });
  });
  return Object.fromEntries(entries);
}

/** What the gateway asks: a node's work, and whether somebody is there. */
function gatewayMessages(book: SchemaBook): Record<string, JsonSchema> {
  // A peer's own error codes pass.
  const error = {
    type: 'object',
    required: ['code', 'message'],
    properties: { code: id, message: { type: 'string' } },
  };
  const facts = { 'x-roles': ['node'] };
  return Object.fromEntries([
    ...pair('task.execute', {
      payload: book.ofClass(TaskExecutePayload),
      result: book.ofClass(TaskExecuteResult),
      error,
      facts,
    }),
    ...pair('task.cancel', {
      payload: book.ofClass(TaskCancelPayload),
      result: book.ofClass(TaskCancelResult),
      error,
      facts,
    }),
  ]);
}

function unknownRefused(book: SchemaBook): JsonSchema {
  const error = book.ofType('WireErrorBody');
  const type = { type: 'string', minLength: 1, maxLength: LIMITS.requestTypeLength };
  return { name: UNKNOWN, payload: closed({ request_id: id, type, ok: { const: false }, error }, []) };
}

interface Exchange {
  readonly payload: JsonSchema;
  readonly result: JsonSchema | undefined;
  readonly error: JsonSchema;
  readonly facts: JsonSchema;
}

function pair(type: string, { payload, result, error, facts }: Exchange): [string, JsonSchema][] {
  const envelope = { request_id: id, type: { const: type } };
  const answer = closed({ ...envelope, ok: { const: true }, ...(result ? { result } : {}) }, result ? ['result'] : []);
  const refusal = closed({ ...envelope, ok: { const: false }, error }, []);
  return [
    [`request.${type}`, { name: type, ...facts, payload: closed({ ...envelope, payload, trace: {} }, ['trace']) }],
    [`response.${type}`, { name: type, payload: { oneOf: [answer, refusal] } }],
  ];
}

function eventMessages(book: SchemaBook): Record<string, JsonSchema> {
  const payloads = book.fieldsOf('EventPayloads');
  return Object.fromEntries(
    (Object.keys(EVENTS) as EventType[]).map((type) => {
      const fields = {
        event_id: { type: 'string', minLength: 1, maxLength: LIMITS.idLength },
        type: { const: type },
        occurred_at: { type: 'string', format: 'date-time' },
        scope: book.ofType('EventScope'),
        payload: payloads[type] ?? {},
        cursor: { type: 'string', minLength: 1, maxLength: LIMITS.cursorLength },
      };
      const payload = closed(fields, ['scope', 'cursor']);
      const { durable, reserved } = EVENTS[type];
      const unsent = reserved ? { summary: 'Known to clients; this version sends none.' } : {};
      return [`event.${type}`, { name: type, ...unsent, 'x-durable': durable, payload }];
    }),
  );
}

/** A closed object, all of whose fields are there but the optional ones. */
function closed(properties: Record<string, unknown>, optional: readonly string[]): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}
