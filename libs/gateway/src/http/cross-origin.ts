import cors from 'cors';
import type { RequestHandler } from 'express';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** What our clients send beyond what any page may. */
const REQUEST_HEADERS = [
  'Authorization',
  'Content-Digest',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-Modified-Since',
  'If-None-Match',
  'If-Range',
  'If-Unmodified-Since',
  'Last-Event-ID',
  'Mcp-Protocol-Version',
  'Mcp-Session-Id',
  'Range',
  'Repr-Digest',
  'Tyrum-Device-Proof',
  'X-CSRF-Token',
  'X-Request-Id',
];
/** What a page may read of an answer beyond its body. */
const ANSWER_HEADERS = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Range',
  'ETag',
  'Idempotency-Replayed',
  'Repr-Digest',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
];
const PREFLIGHT_GOOD_FOR_S = 600;

/**
 * Lets pages of allowed origins read answers, and answers their browsers' questions beforehand (CORS). It stands before
 * authentication: such a question comes without a token, and a page that is refused has to be able to read why. For every other
 * origin nothing is said, so that its browser keeps the answer from it.
 */
export function crossOrigin(allowedOrigins: ReadonlySet<string>): RequestHandler {
  const answer = cors({
    // Asked each time: the edge's own origins join when it listens.
    origin: (origin, decide) => decide(null, allowedOrigins.has(origin ?? '')),
    // A console on the same site as the edge comes with the cookie.
    credentials: true,
    methods: METHODS,
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: ANSWER_HEADERS,
    maxAge: PREFLIGHT_GOOD_FOR_S,
  });
  return (request, response, next) => {
    if (allowedOrigins.has(request.headers.origin ?? '')) return answer(request, response, next);
    // A cache must not give the answer to others to a page.
    response.vary('Origin');
    next();
  };
}
