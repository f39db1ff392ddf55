import type { Violation } from './error-codes';
import { childPath } from './json';

/** A value on the way down; its path is spelled out only when something is wrong with it. */
interface Visit {
  readonly value: unknown;
  readonly key: string | number;
  readonly parent: Visit | undefined;
}

/**
 * The first thing in a parsed JSON value that we could not store or should not touch, or `undefined`:
 *
 * - `nullCharacter`: U+0000 in a string or a key, which Postgres refuses in jsonb (22P05);
 * - `wellFormed`: a lone surrogate, which UTF-8 cannot hold and jsonb refuses as well;
 * - `finite`: a number like 1e999, which parses to Infinity and would be stored as null;
 * - `forbiddenKey`: a key `__proto__`, which turns into a prototype when some code assigns it.
 *
 * Walks with a list of its own instead of the call stack, so no depth overflows it.
 */
export function findUnstorable(root: unknown, path = ''): Violation | undefined {
  const open: Visit[] = [{ value: root, key: path, parent: undefined }];
  for (let visit = open.pop(); visit; visit = open.pop()) {
    const { value } = visit;
    const fault = faultOf(value);
    if (fault) return { field: pathOf(visit), ...fault };
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) open.push({ value: value[i] as unknown, key: i, parent: visit });
      continue;
    }
    for (const [key, child] of Object.entries(value)) {
      const keyFault = faultOfKey(key);
      if (keyFault) return { field: childPath(pathOf(visit), key), ...keyFault };
      open.push({ value: child as unknown, key, parent: visit });
    }
  }
  return undefined;
}

type Fault = Omit<Violation, 'field'>;

function faultOf(value: unknown): Fault | undefined {
  if (typeof value === 'string') return faultOfText(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return { rule: 'finite', message: 'is too large a number' };
  return undefined;
}

function faultOfKey(key: string): Fault | undefined {
  return key === '__proto__' ? { rule: 'forbiddenKey', message: 'is not allowed as a name' } : faultOfText(key);
}

function faultOfText(text: string): Fault | undefined {
  if (text.includes('\0')) return { rule: 'nullCharacter', message: 'must not contain U+0000' };
  // Under the u flag \p{Cs} matches lone surrogates only.
  if (/\p{Cs}/u.test(text)) return { rule: 'wellFormed', message: 'must be well-formed Unicode' };
  return undefined;
}

function pathOf(visit: Visit): string {
  const keys: (string | number)[] = [];
  let at = visit;
  for (; at.parent; at = at.parent) keys.push(at.key);
  return keys.reverse().reduce<string>(childPath, String(at.key));
}
