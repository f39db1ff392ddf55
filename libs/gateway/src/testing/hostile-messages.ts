import { REQUEST_EXAMPLES } from '@tyrum/protocol/testing';
import fc from 'fast-check';

/** Values that have broken parsers, comparisons and databases before. */
const AWKWARD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER + 1,
  '',
  '\0',
  '\ud800',
  '__proto__',
  'constructor',
  "' or 1=1 --",
  '../../etc/passwd',
  'x'.repeat(5_000),
  [],
  {},
  [[]],
  { toString: 1, hasOwnProperty: null },
];

const awkward = fc.oneof(fc.constantFrom(...AWKWARD), fc.jsonValue({ maxDepth: 4 }));

/** A valid payload with one thing in it replaced, removed or added. */
const bentPayload = fc
  .tuple(fc.constantFrom(...Object.entries(REQUEST_EXAMPLES)), fc.nat(1), fc.nat(), awkward, fc.nat(3))
  .map(([[type, examples], which, at, value, how]) => {
    const payload = structuredClone(examples[which]) as Record<string, unknown>;
    const names = [...Object.keys(payload), 'surplus'];
    const name = names[at % names.length] as string;
    if (how === 0) delete payload[name];
    else if (how === 1) Object.defineProperty(payload, '__proto__', { value, enumerable: true });
    else payload[name] = value;
    return { type, payload };
  });

/** Text frames: requests that are nearly right, envelopes that are not, JSON that is none, text that is not JSON. */
export const hostileFrame: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.uuid(), bentPayload).map(([request_id, bent]) => text({ request_id, ...bent })) },
  { weight: 1, arbitrary: fc.tuple(awkward, bentPayload).map(([request_id, bent]) => text({ request_id, ...bent })) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.uuid(), awkward).map(([request_id, type]) => text({ request_id, type, payload: {} })),
  },
  { weight: 1, arbitrary: awkward.map(text) },
  { weight: 1, arbitrary: fc.string({ maxLength: 200 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(bentPayload, fc.nat(200))
      .map(([bent, cut]) => text({ request_id: 'r', ...bent }).slice(0, cut)),
  },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 5_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)) },
);

/** A request's method, path, headers and body over HTTP, made for the paths of some API. */
export function hostileRequest(paths: readonly string[]) {
  const segment = fc.oneof(
    fc.constantFrom('x', '%00', '%E0%A4%A', '..', 'agent:default:main', '%22', '0', 'a'.repeat(3_000)),
    fc.uuid(),
  );
  const path = fc
    .tuple(fc.constantFrom(...paths), segment, fc.constantFrom('', '?limit=x', '?limit=1&limit=2', '?a[b]=c', '?%'))
    .map(([pattern, part, query]) => pattern.replace(/\{\w+\}/g, () => part) + query);
  const body = fc.oneof(
    fc.constant(undefined),
    bentPayload.map(({ payload }) => text(payload)),
    fc.string(),
    awkward.map(text),
  );
  return fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
    path,
    body,
    key: fc.constantFrom(undefined, 'k', 'x'.repeat(300)),
    type: fc.constantFrom('application/json', 'text/plain', 'application/problem+json; charset=x'),
  });
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
