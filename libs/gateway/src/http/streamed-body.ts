import { ContractError, LIMITS } from '@tyrum/protocol';
import type { NextFunction, Request, Response } from 'express';
import { HttpProblem } from './http-problem';

/** Requests whose body is bytes, by what `Content-Type` says they are. */
const streamed = new WeakMap<Request, string | undefined>();

const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/;

/**
 * Marks a request whose body a handler reads as it comes. Its `Content-Type` is taken away: it says what is stored, and would
 * have every parser behind this one read an upload of JSON into memory.
 */
export function streamedBody() {
  return (request: Request, _response: Response, next: NextFunction): void => {
    streamed.set(request, request.headers['content-type']);
    delete request.headers['content-type'];
    next();
  };
}

/** Whether a handler reads this request's body itself. */
export function isStreamed(request: Request): boolean {
  return streamed.has(request);
}

/** The media type of a streamed body, in lower case and without parameters. @throws {ContractError} {HttpProblem} */
export function mediaTypeOf(request: Request): string | undefined {
  const text = streamed.get(request);
  if (text === undefined) return undefined;
  const type = (text.split(';')[0] ?? '').trim().toLowerCase();
  if (type.length > LIMITS.mimeTypeLength || !MEDIA_TYPE.test(type)) {
    throw ContractError.at('Content-Type', 'mediaType', 'must be a media type such as image/png');
  }
  if (type.startsWith('multipart/')) throw new HttpProblem(415, 'invalid_request', 'the body must be the bytes alone');
  return type;
}

/**
 * A body as it comes. Not within a time in all, which would be too long for a small one or too short for a large one, but
 * never without a byte for `stallMs`. Leaving the loop early leaves the connection open: there is an answer to be sent over it.
 * @throws {HttpProblem} 408 when nothing comes, 400 when the sender breaks off
 */
export async function* arriving(request: Request, stallMs: number): AsyncGenerator<Buffer> {
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  for (;;) {
    const next = await beforeStall(chunks.next(), stallMs);
    if (next.done) return;
    yield next.value;
  }
}

async function beforeStall<T>(chunk: Promise<T>, stallMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_, reject) => {
    const problem = new HttpProblem(408, 'invalid_request', `nothing of the body came for ${stallMs} ms`);
    timer = setTimeout(() => reject(problem), stallMs);
  });
  const came = chunk.catch(() => {
    throw new HttpProblem(400, 'invalid_request', 'the body broke off');
  });
  // After a stall the connection is closed, which ends the reading with an error nobody waits for.
  came.catch(() => undefined);
  try {
    return await Promise.race([came, stalled]);
  } finally {
    clearTimeout(timer);
  }
}
