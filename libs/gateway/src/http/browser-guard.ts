import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { WireError } from '@tyrum/protocol';

/** The header that repeats the session's CSRF token on whatever changes something. */
export const CSRF_HEADER = 'x-csrf-token';

const SAFE_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * The CSRF token of a session. It follows from the access token, so that nothing is kept for it, and a page of another origin
 * can neither read it nor compute it.
 */
export function csrfTokenOf(token: string): string {
  return createHmac('sha256', token).update('tyrum csrf').digest('base64url');
}

/**
 * Lets a request that came with the cookie pass only from a page of an allowed origin. A browser sends a cookie whoever made it
 * send the request; `SameSite=Strict` is one wall, this is the second, and for changes the token is the third.
 * @throws {WireError} forbidden
 */
export function requireOwnPage(
  request: Pick<IncomingMessage, 'headers' | 'method'>,
  token: string,
  allowedOrigins: ReadonlySet<string>,
): void {
  const { origin } = request.headers;
  // Browsers leave Origin out of same-origin reads, and say so in a header that pages cannot set.
  const isOwnRead = SAFE_METHODS.has(request.method) && request.headers['sec-fetch-site'] === 'same-origin';
  if (origin === undefined ? !isOwnRead : !allowedOrigins.has(origin)) {
    throw new WireError('forbidden', 'this origin may not use the cookie');
  }
  if (SAFE_METHODS.has(request.method)) return;
  const given = Buffer.from(String(request.headers[CSRF_HEADER] ?? ''));
  const expected = Buffer.from(csrfTokenOf(token));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new WireError('forbidden', `the header ${CSRF_HEADER} is missing or not this session's`);
  }
}
