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
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(`canonical JSON cannot hold a value of type ${typeof value}`);
}
