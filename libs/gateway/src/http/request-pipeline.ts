import { randomUUID } from 'node:crypto';
import { withLogContext } from '@tyrum/platform';
import { LIMITS, parseJsonPayload, type JsonTextLimits } from '@tyrum/protocol';
import type { NextFunction, Request, Response } from 'express';
import type { GatewayMetrics } from '../gateway-metrics';
import { badInput, HttpProblem } from './http-problem';
import { isStreamed } from './streamed-body';

type Middleware = (request: Request, response: Response, next: NextFunction) => void;

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Gives each request an id, the caller's if it has a usable one, and puts it on every log line and on the answer. */
export function requestContext(): Middleware {
  return (request, response, next) => {
    const given = request.get('x-request-id') ?? '';
    const request_id = REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', request_id);
    withLogContext({ request_id }, next);
  };
}

/** Refuses addresses with a U+0000, as bodies with one are: no text of ours has it, and Postgres would fail on it. */
export function plainUrl(): Middleware {
  return (request, _response, next) => {
    next(request.originalUrl.includes('%00') ? badInput('url', 'nullCharacter', 'must not contain U+0000') : undefined);
  };
}

export interface JsonBodyLimits {
  readonly bodyMaxBytes: number;
  readonly jsonMaxDepth: number;
  readonly bodyMs?: number;
}

/** Reads JSON bodies with the limits of the wire: size while reading, depth before parsing. */
export function jsonBody({ bodyMaxBytes, jsonMaxDepth, bodyMs = BODY_MS }: JsonBodyLimits): Middleware {
  const limits: JsonTextLimits = { maxBytes: bodyMaxBytes, maxDepth: jsonMaxDepth };
  return (request, _response, next) => {
    if (!hasBody(request) || isStreamed(request)) return next();
    if (!request.is(['application/json', 'application/*+json'])) {
      return next(new HttpProblem(415, 'invalid_request', 'the body must be application/json'));
    }
    readText(request, bodyMaxBytes, bodyMs)
      .then((text) => {
        request.body = text === '' ? undefined : parseJsonPayload(text, 'body', limits);
        next();
      })
      .catch(next);
  };
}

function hasBody(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

/** Reads a body as the bytes it came in: what a signature is over. */
export function rawBody({ bodyMs = BODY_MS }: { readonly bodyMs?: number } = {}): Middleware {
  return (request, _response, next) => {
    const tooLarge = (): HttpProblem =>
      new HttpProblem(413, 'invalid_request', `the body must not be larger than ${LIMITS.webhookBodyBytes} bytes`);
    withDeadline(bodyMs, readBytes(request, tooLarge, LIMITS.webhookBodyBytes))
      .then((bytes) => {
        request.body = bytes;
        next();
      })
      .catch(next);
  };
}

/** A body has to be in by then: who sends it a byte at a time holds a request open for nothing. */
const BODY_MS = 30_000;

async function readText(request: Request, maxBytes: number, bodyMs: number): Promise<string> {
  const tooLarge = (): HttpProblem =>
    new HttpProblem(413, 'invalid_request', `the body must not be larger than ${maxBytes} bytes`);
  // Compressed bodies would need a limit of their own on what they unpack to, and nobody sends them.
  if (request.headers['content-encoding'] !== undefined)
    throw new HttpProblem(415, 'invalid_request', 'send it uncompressed');
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const bytes = await withDeadline(bodyMs, readBytes(request, tooLarge, maxBytes));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HttpProblem(400, 'invalid_request', 'the body must be UTF-8');
  }
}

async function readBytes(request: Request, tooLarge: () => HttpProblem, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not destroy the socket: there is an answer to be sent over it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function withDeadline(ms: number, body: Promise<Buffer>): Promise<Buffer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const problem = new HttpProblem(408, 'invalid_request', `the body was not there within ${ms} ms`);
    timer = setTimeout(() => reject(problem), ms);
  });
  // After the deadline the connection is closed, which ends the reading with an error nobody waits for.
  body.catch(() => undefined);
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Counts and times answers by method and route pattern; a path that matched no route counts as `unmatched`. */
export function httpMetrics(metrics: GatewayMetrics): Middleware {
  return (request, response, next) => {
    const startedAt = performance.now();
    response.once('finish', () => {
      const route = (request as { route?: { path?: unknown } }).route?.path;
      const type = typeof route === 'string' ? `${request.method} ${route}` : 'unmatched';
      metrics.answered(
        { door: 'http', type, outcome: String(response.statusCode) },
        (performance.now() - startedAt) / 1000,
      );
    });
    next();
  };
}
