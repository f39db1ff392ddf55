/** The tenant of a single-tenant installation. */
export const DEFAULT_TENANT_ID = '00000000-0000-4000-8000-000000000001';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Whether `value` is a UUID as we write them. Lower case only: Postgres would fold the case and SQLite would not, and an
 * id must not exist on one of them only.
 */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

const TOKEN = /^tyrum-token\.v1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{16,256})$/;

/** The parts of an access token: `id` finds its row, `secret` proves possession. */
export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

/** `tyrum-token.v1.<id>.<secret>`. @throws {TypeError} if `id` is no UUID or `secret` no base64url of 16…256 characters */
export function formatToken({ id, secret }: TokenParts): string {
  const token = `tyrum-token.v1.${id}.${secret}`;
  if (!parseToken(token)) throw new TypeError('a token needs a UUID and a base64url secret of 16 to 256 characters');
  return token;
}

/** The parts of a token, or `undefined` if it is none. Says nothing about whether the token is valid. */
export function parseToken(token: string): TokenParts | undefined {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  return secret !== undefined && isUuid(id) ? { id, secret } : undefined;
}
