import { isIP } from 'node:net';
import { Secret } from './secret';

/** Turns a variable's text into its value, or `undefined` when the text is not what the variable expects. */
export type Parse<T> = (text: string) => T | undefined;

/** Where the state lives. `path` is as written until `loadConfig` resolves it; `url` may carry a password. */
export type DatabaseConfig =
  { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: Secret };

/** A decimal integer from `min` to `max`, both allowed. Refuses signs, fractions, exponents and hexadecimal. */
export function integer(min: number, max: number): Parse<number> {
  return (text) => {
    if (!/^\d{1,15}$/.test(text)) return undefined;
    const value = Number(text);
    return value >= min && value <= max ? value : undefined;
  };
}

/** Exactly one of the given words. */
export function oneOf<const T extends string>(words: readonly T[]): Parse<T> {
  return (text) => words.find((word) => word === text);
}

/** Text that matches the pattern as a whole; anchor it. */
export function matching(pattern: RegExp): Parse<string> {
  return (text) => (pattern.test(text) ? text : undefined);
}

/** As `matching`, for a value nobody may print. */
export function secretMatching(pattern: RegExp): Parse<Secret> {
  return (text) => (pattern.test(text) ? new Secret(text) : undefined);
}

/** A path as written. `~` is refused: no shell expands it in an env file, and a directory of that name would appear. */
export const path: Parse<string> = (text) => (/^~|\0/.test(text) ? undefined : text);

/** An IP address or a host name to listen on. */
export const host: Parse<string> = (text) =>
  isIP(text) || /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text) ? text : undefined;

/** A network as `address/prefix`, or one address. `/0` is refused: it would stand for everybody. */
export const network: Parse<string> = (text) => {
  const [, address = '', prefix] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  const length = Number(prefix ?? bits);
  return length >= 1 && length <= bits && !address.includes('%') ? `${address}/${length}` : undefined;
};

/**
 * `sqlite:<path>`, `postgres://…` or `postgresql://…`. Refuses `sqlite::memory:`, which keeps nothing, and `sqlite://`,
 * which readers of other tools' URLs take for either a relative or an absolute path.
 */
export const database: Parse<DatabaseConfig> = (text) => {
  if (text.startsWith('sqlite:')) {
    const file = text.slice('sqlite:'.length);
    if (file === '' || file.startsWith(':') || file.startsWith('//')) return undefined;
    const parsed = path(file);
    return parsed === undefined ? undefined : { kind: 'sqlite', path: parsed };
  }
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text)
    ? { kind: 'postgres', url: new Secret(text) }
    : undefined;
};

/** `redis://…` or `rediss://…` with a host. */
export const redisUrl: Parse<Secret> = (text) => {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).hostname === '' ? undefined : new Secret(text);
};

/** An `http(s)` URL without user, password, query or fragment: it is printed, so nothing secret may hide in it. */
export const plainHttpUrl: Parse<string> = (text) => {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.username || url.password || url.search || url.hash ? undefined : text;
};

/** An origin exactly as browsers send it: `https://console.example`, the port only where it is not the scheme's own. */
export const webOrigin: Parse<string> = (text) =>
  /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text ? text : undefined;

/** An `https` URL without credentials, query or fragment; plain `http` only where nobody can listen in, on this host. */
export const safeUrl: Parse<string> = (text) => {
  const url = plainHttpUrl(text) && new URL(text);
  if (!url) return undefined;
  return url.protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname) ? text : undefined;
};

/** The text of a JSON list; what is in it is its reader's business. */
export const jsonList: Parse<string> = (text) => {
  try {
    return Array.isArray(JSON.parse(text)) ? text : undefined;
  } catch {
    return undefined;
  }
};

/** A comma-separated set of the given words without repetition, in the order of `words`. */
export function subsetOf<const T extends string>(words: readonly T[], required: NoInfer<T>): Parse<readonly T[]> {
  return (text) => {
    const given = text.split(',').map((word) => word.trim());
    const known = words.filter((word) => given.includes(word));
    return known.length === given.length && known.includes(required) ? known : undefined;
  };
}

/** A comma-separated list, each part as `parse` wants it. */
export function listOf<T>(parse: Parse<T>): Parse<readonly T[]> {
  return (text) => {
    const parts = text.split(',').map((part) => parse(part.trim()));
    return parts.every((part) => part !== undefined) ? (parts as T[]) : undefined;
  };
}

/** What a model's tokens cost, in micro-dollars each. */
export interface ModelPrice {
  readonly promptMicros: number;
  readonly completionMicros: number;
}

/** Two decimal numbers, dollars per million tokens: a dollar for a million is a micro-dollar for one. */
export const modelPrice: Parse<ModelPrice> = (text) => {
  const [, prompt, completion] = /^(\d{1,6}(?:\.\d{1,6})?),(\d{1,6}(?:\.\d{1,6})?)$/.exec(text) ?? [];
  return prompt === undefined ? undefined : { promptMicros: Number(prompt), completionMicros: Number(completion) };
};
