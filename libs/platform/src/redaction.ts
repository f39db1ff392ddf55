import { stdSerializers } from 'pino';

const REDACTED = '[redacted]';
const MAX_DEPTH = 8;
const MAX_ITEMS = 200;

/** Compared with letter case and `-` `_` dropped, so that `API-Key`, `api_key` and `apiKey` are one. */
const SECRET_KEYS = new Set([
  'accesstoken',
  'apikey',
  'authorization',
  'authtoken',
  'bootstraptoken',
  'clientsecret',
  'cookie',
  'passphrase',
  'password',
  'privatekey',
  'proxyauthorization',
  'refreshtoken',
  'scopedtoken',
  'secret',
  'setcookie',
  'token',
  'xapikey',
]);

/**
 * Replaces what looks like a credential in a text: Tyrum tokens (also in the `tyrum-auth.` subprotocol), bearer
 * values, and the password of a URL. Works on plain text and on a line of JSON, whose escapes none of these contain.
 */
export function scrubText(text: string): string {
  return text
    .replace(/tyrum-token\.v1\.[A-Za-z0-9._-]+/g, `tyrum-token.v1.${REDACTED}`)
    .replace(/tyrum-auth\.[A-Za-z0-9_=-]+/g, `tyrum-auth.${REDACTED}`)
    .replace(/\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${REDACTED}`)
    .replace(/(:\/\/[^\s/"@:]{0,256}:)[^\s/"]{1,1024}@/g, `$1${REDACTED}@`);
}

/**
 * A copy of a log object in which the values of credential-like keys are replaced at any depth. Our own walk instead of
 * pino's path list, because paths know neither letter case nor arbitrary depth. Lease tokens stay: they are counters.
 */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return walkFields(fields, 0);
}

function walkFields(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, MAX_ITEMS);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, isSecretKey(key) && value != null ? REDACTED : walk(value, depth + 1)]),
  );
}

function walk(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  // Here instead of in pino's serializers, which know only the key `err` and keep whatever fields a driver put there.
  if (value instanceof Error) return walkFields({ ...stdSerializers.err(value) }, depth);
  // It knows its own business, as a Secret or a Date does.
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return value;
  // The bound also ends cycles.
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => walk(item, depth + 1));
  return walkFields(value, depth);
}

function isSecretKey(key: string): boolean {
  return SECRET_KEYS.has(key.toLowerCase().replace(/[-_]/g, ''));
}
