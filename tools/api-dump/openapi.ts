import {
  ERROR_CODES,
  HTTP_STATUS,
  LIMITS,
  PROBLEM_CONTENT_TYPE,
  ROUTES,
  type JsonSchema,
  type RouteSpec,
} from '../../libs/protocol/src/index';
import type { SchemaBook } from './schema-book';

const PARAMETERS: Readonly<Record<string, JsonSchema>> = {
  id: { type: 'string', format: 'uuid' },
  key: { type: 'string', maxLength: LIMITS.conversationKeyLength },
  trigger: { type: 'string', format: 'uuid' },
  pairing: { type: 'integer', minimum: 1 },
  kind: { type: 'string', minLength: 1 },
  name: { type: 'string', minLength: 1 },
};

/** The HTTP door as an OpenAPI 3.1 document. */
export function openApiDocument(book: SchemaBook): JsonSchema {
  const answers = book.fieldsOf('RouteAnswers');
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const [route, spec] of Object.entries(ROUTES as Record<string, RouteSpec>)) {
    const [method = '', path = ''] = route.split(' ');
    const at = path.replace(/:(\w+)/g, '{$1}');
    paths[at] = { ...paths[at], [method.toLowerCase()]: operationOf(route, spec, { answer: answers[route], book }) };
  }
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'Tyrum',
      version: '1.0.0',
      description: 'The HTTP door of an edge. The WebSocket is described in /asyncapi.json.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'tyrum-token.v1.<id>.<secret>' } },
      responses: {
        Problem: {
          description: `An error (RFC 9457). Its \`code\` is one of ${ERROR_CODES.join(', ')}.`,
          content: { [PROBLEM_CONTENT_TYPE]: { schema: book.ofType('ProblemDetails') } },
        },
      },
    },
  };
  return { ...document, components: { ...document.components, schemas: book.usedBy(document) } };
}

function operationOf(
  route: string,
  spec: RouteSpec,
  { answer, book }: { answer: JsonSchema | undefined; book: SchemaBook },
): JsonSchema {
  const parameters = [...pathParameters(route), ...queryParameters(spec, book), ...headerParameters(route, spec)];
  const statuses = [...new Set([...Object.values(HTTP_STATUS), 413, 422, 507])].filter((status) =>
    isPossible(status, spec),
  );
  return {
    operationId: operationIdOf(route),
    summary: spec.summary,
    ...(spec.scope === null ? { security: [] } : { security: [{ bearer: [] }], 'x-scope': spec.scope }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(spec.bytes ? { requestBody: { required: true, content: { '*/*': {} } } } : {}),
    ...(spec.body ? { requestBody: { content: { 'application/json': { schema: book.ofClass(spec.body) } } } } : {}),
    responses: {
      [spec.status]: {
        description: spec.summary,
        ...(answer ? { content: { 'application/json': { schema: answer } } } : {}),
        ...(spec.media ? { content: { [spec.media]: { schema: { type: 'string' } } } } : {}),
      },
      ...(spec.media === 'application/octet-stream'
        ? {
            206: { description: 'A part', content: { [spec.media]: { schema: { type: 'string' } } } },
            304: { description: 'What the caller has is what it is' },
            412: { $ref: '#/components/responses/Problem' },
            416: { $ref: '#/components/responses/Problem' },
          }
        : {}),
      // "Not ready" is an answer of the same shape.
      ...(answer && /\/(readyz|healthz)$/.test(route)
        ? { 503: { description: 'Not ready', content: { 'application/json': { schema: answer } } } }
        : {}),
      ...Object.fromEntries(
        statuses.sort((a, b) => a - b).map((status) => [status, { $ref: '#/components/responses/Problem' }]),
      ),
    },
  };
}

/** Open routes have no errors of ours but those that others call; 422 is for keys that came with another payload. */
function isPossible(status: number, spec: RouteSpec): boolean {
  if (status === 413 || status === 507) return spec.bytes === true;
  const isProbe = spec.scope === null && spec.status === 200 && spec.media !== 'text/html';
  if (isProbe) return status === 500;
  if (status === 422) return spec.keyed === true;
  return true;
}

function operationIdOf(route: string): string {
  const [method = '', path = ''] = route.split(' ');
  const words = path.replace(/^\/(v1\/)?/, '').split(/[/:._-]+/);
  return [method.toLowerCase(), ...words].map((word, i) => (i === 0 ? word : capitalized(word))).join('');
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function pathParameters(route: string): JsonSchema[] {
  return [...route.matchAll(/:(\w+)/g)].map(([, name = '']) => {
    const schema = PARAMETERS[name];
    if (!schema) throw new Error(`${route}: nothing says what the parameter ${name} is`);
    return { name, in: 'path', required: true, schema };
  });
}

function queryParameters({ query }: RouteSpec, book: SchemaBook): JsonSchema[] {
  if (!query) return [];
  book.ofClass(query.payload);
  const { [query.payload.name]: payload } = book.usedBy(book.ofClass(query.payload));
  const properties = (payload?.['properties'] ?? {}) as Record<string, JsonSchema>;
  return Object.entries(query.fields).map(([name, { kind, as }]) => {
    const schema = properties[as ?? name];
    if (!schema) throw new Error(`the query parameter ${name} is no field of ${query.payload.name}`);
    return { name, in: 'query', schema, ...(kind === 'list' ? { style: 'form', explode: false } : {}) };
  });
}

function headerParameters(route: string, { keyed, media, bytes }: RouteSpec): JsonSchema[] {
  const header = (name: string, maxLength: number, description: string): JsonSchema => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string', minLength: 1, maxLength },
  });
  return [
    ...(keyed
      ? [
          header(
            'Idempotency-Key',
            LIMITS.idempotencyKeyLength,
            "Copies of the request under one key are one request: a later one gets the first one's answer, with another payload 422, and 409 with Retry-After while the first is being carried out.",
          ),
        ]
      : []),
    ...(media === 'text/event-stream'
      ? [header('Last-Event-ID', LIMITS.cursorLength, 'Go on after the event of this id.')]
      : []),
    ...(bytes
      ? ['Content-Digest', 'Repr-Digest'].map((name) =>
          header(name, LIMITS.digestHeaderLength, 'RFC 9530: bytes of another `sha-256` are refused.'),
        )
      : []),
    ...(media === 'application/octet-stream'
      ? [
          header('Range', LIMITS.rangeHeaderLength, 'One range of `bytes`; several that do not touch get the whole.'),
          header('If-Range', LIMITS.rangeHeaderLength, 'The range only where this is still the `ETag`.'),
          header('If-None-Match', LIMITS.rangeHeaderLength, '304 where this is the `ETag`.'),
        ]
      : []),
  ];
}
