/**
 * JSON with the keys of every object sorted by code unit and no white space: equal values have equal texts, whatever the
 * order in which their fields were written. Fields that are `undefined` are left out, as `JSON.stringify` does.
 *
 * Recursion is safe here: what arrives from outside is never deeper than `LIMITS.jsonDepth`.
 * @throws {TypeError} on what JSON cannot say: a number that is not finite, a function, a bigint, `undefined` in a list
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const object = value as Readonly<Record<string, unknown>>;
    // Without a comparison of its own, `sort` goes by code unit.
    const keys = Object.keys(object).filter((key) => object[key] !== undefined);
    const fields = keys.sort().map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key])}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(`canonical JSON cannot hold a value of type ${typeof value}`);
}
