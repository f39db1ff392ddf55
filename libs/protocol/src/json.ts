/** Anything JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object whose fields the protocol leaves open. */
export interface JsonObject {
  [field: string]: JsonValue;
}

/** Whether `value` is an object in JSON's sense: not null, not an array, not an instance of some class. */
export function isJsonObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The path of `key` inside `path`, for error details: `payload.steps[2]`, `payload.args["strange key"]`. */
export function childPath(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  // Whatever is not a plain name is quoted by JSON, so that a NUL or a lone surrogate in a key reaches neither a log line
  // nor the stored copy of an error answer, which Postgres would refuse.
  if (!/^[A-Za-z_$][\w$-]{0,63}$/.test(key)) return `${path}[${JSON.stringify(key.slice(0, 64))}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** Whether `text` takes at most `max` bytes as UTF-8. Encodes it only when its length alone does not decide. */
export function isWithinBytes(text: string, max: number): boolean {
  if (text.length > max) return false;
  // Three bytes are the most that one UTF-16 code unit can take.
  return text.length * 3 <= max || new TextEncoder().encode(text).length <= max;
}

/** A JSON value with each text in it replaced; `replace` is told where the text is, below `path`. */
export function mapTexts(value: JsonValue, replace: (text: string, path: string) => JsonValue, path = ''): JsonValue {
  if (typeof value === 'string') return replace(value, path);
  if (Array.isArray(value)) return value.map((one, i) => mapTexts(one, replace, childPath(path, i)));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, mapTexts(one as JsonValue, replace, childPath(path, name))]),
  );
}
