import fc from 'fast-check';
import { canonicalJson } from './canonical-json';
import { payloadFingerprint } from './payload-fingerprint';

/** The same value with the fields of every object written in another order. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, field]) => [key, reordered(field)]),
  );
}

describe('canonicalJson', () => {
  it('is JSON of an equal value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('does not depend on the order of fields', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => expect(canonicalJson(reordered(value))).toBe(canonicalJson(value))),
    );
  });

  it('depends on the order of lists', () => expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1])));

  it('sorts by code unit, not by number or locale', () => {
    expect(canonicalJson({ b: 1, B: 1, 10: 1, 9: 1, ä: 1 })).toBe('{"10":1,"9":1,"B":1,"b":1,"ä":1}');
  });

  it('leaves out undefined fields', () => expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}'));

  it('keeps a field called __proto__ apart from none', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":{"a":1}}'))).toBe('{"__proto__":{"a":1}}');
  });

  it.each([NaN, Infinity, undefined, [undefined], () => 1, 1n])('refuses %p', (value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  });
});

describe('payloadFingerprint', () => {
  it('is the SHA-256 of the canonical text', () => {
    expect(payloadFingerprint({ b: [], a: 1 })).toBe(payloadFingerprint({ a: 1, b: [] }));
    // echo -n '{}' | sha256sum
    expect(payloadFingerprint({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
  });

  it('tells different values apart', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const equal = canonicalJson(a) === canonicalJson(b);
        expect(payloadFingerprint(a) === payloadFingerprint(b)).toBe(equal);
      }),
    );
  });
});
