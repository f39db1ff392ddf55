import type { IncomingHttpHeaders } from 'node:http';
import { AUTH_SUBPROTOCOL_PREFIX, decodeBase64Url } from '@tyrum/protocol';

/** The cookie that may carry the token. */
export const TOKEN_COOKIE = 'tyrum_token';

/** Where a peer put its token. Only the first place that is used counts: a bad header is not saved by a good cookie. */
export type Credentials =
  { readonly from: 'header' | 'cookie' | 'subprotocol'; readonly token: string } | { readonly from: 'nowhere' };

/** The token of an upgrade request: `Authorization`, then the cookie, then the extra subprotocol. */
export function credentialsOf(headers: IncomingHttpHeaders): Credentials {
  if (headers.authorization !== undefined) return { from: 'header', token: bearerToken(headers.authorization) ?? '' };
  const cookie = cookieOf(headers, TOKEN_COOKIE);
  if (cookie !== undefined) return { from: 'cookie', token: cookie };
  const offered = subprotocolsOf(headers).find((name) => name.startsWith(AUTH_SUBPROTOCOL_PREFIX));
  if (offered === undefined) return { from: 'nowhere' };
  const bytes = decodeBase64Url(offered.slice(AUTH_SUBPROTOCOL_PREFIX.length));
  return { from: 'subprotocol', token: bytes ? Buffer.from(bytes).toString('utf8') : '' };
}

/** The token of an `Authorization` header, if it is a bearer's. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

/** The subprotocols a client offers, in its order. */
export function subprotocolsOf(headers: IncomingHttpHeaders): string[] {
  return (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** The value of a cookie of ours, which is never quoted or percent-encoded: the first one of that name. */
export function cookieOf({ cookie = '' }: IncomingHttpHeaders, name: string): string | undefined {
  for (const pair of cookie.split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
