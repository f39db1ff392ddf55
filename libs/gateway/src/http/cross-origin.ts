import type { NextFunction, Request, Response } from 'express';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
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
].join(', ');
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
].join(', ');
const PREFLIGHT_GOOD_FOR_S = '600';

/**
 * Lets pages of allowed origins read answers, and answers their browsers' questions beforehand (CORS). It stands before
 * authentication: such a question comes without a token, and a page that is refused has to be able to read why. For every other
 * origin nothing is said, so that its browser keeps the answer from it.
 */
export function crossOrigin(allowedOrigins: ReadonlySet<string>) {
  return (request: Request, response: Response, next: NextFunction): void => {
    // Also on answers to others: a cache must not give those to a page.
    response.vary('Origin');
    const { origin } = request.headers;
    if (origin === undefined || !allowedOrigins.has(origin)) return next();
    response.setHeader('Access-Control-Allow-Origin', origin);
    // A console on the same site as the edge comes with the cookie.
    response.setHeader('Access-Control-Allow-Credentials', 'true');
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
      response.setHeader('Access-Control-Expose-Headers', ANSWER_HEADERS);
      return next();
    }
    response.setHeader('Access-Control-Allow-Methods', METHODS);
    response.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
    response.setHeader('Access-Control-Max-Age', PREFLIGHT_GOOD_FOR_S);
    response.status(204).end();
  };
}
