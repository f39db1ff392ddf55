import { getMetadataStorage, validateSync } from 'class-validator';
import fc from 'fast-check';
import { compileFieldsTest } from './compiled-rules';
import { ContractError, type Violation } from './error-codes';
import type { JsonObject, JsonValue } from './json';
import { LIMITS } from './limits';
import {
  AnyJson,
  Flag,
  Instant,
  MaxJsonBytes,
  Nested,
  NestedList,
  NestedUnion,
  OneOf,
  OpenObject,
  Optional,
  SomeOf,
  Text,
  TextList,
  Uuid,
  WholeNumber,
} from './payload-fields';
import { OpenFields, validatePayload, type PayloadClass } from './validate';

class Point {
  @WholeNumber(0, 9)
  x: number;

  @Optional()
  @Text(3)
  label?: string;
}

@OpenFields()
class Part {
  @Text(10)
  type: string;
}

class Circle {
  @OneOf(['circle'])
  kind: 'circle';

  @Nested(() => Point)
  at: Point;
}

class Everything {
  @Text(5)
  text: string;

  @WholeNumber(1, 3)
  limit: number = 2;

  @NestedList(() => Point, { min: 1, max: 3, optional: true })
  points?: Point[];

  @NestedList(() => Part, { max: 3 })
  parts: Part[] = [];

  @NestedUnion('kind', { circle: Circle }, { optional: true })
  shape?: Circle;

  @Optional()
  @OpenObject()
  open?: JsonObject;

  @Optional()
  @AnyJson()
  @MaxJsonBytes(20)
  any?: JsonValue;

  @Optional()
  @Flag()
  flag?: boolean;

  @Optional()
  @SomeOf(['a', 'b'])
  some?: string[];

  @Optional()
  @TextList(2, 3)
  texts?: string[];

  @Optional()
  @Uuid()
  id?: string;

  @Optional()
  @Instant()
  at?: string;
}

function violationsOf(value: unknown, cls: PayloadClass = Everything): Violation[] {
  try {
    validatePayload(cls, value, 'payload');
    return [];
  } catch (error) {
    if (error instanceof ContractError) return error.details;
    throw error;
  }
}

describe('validatePayload', () => {
  it('makes an instance with the defaults of absent fields and no others', () => {
    const payload = validatePayload(Everything, { text: 'a' });
    expect(payload).toBeInstanceOf(Everything);
    expect({ ...payload }).toStrictEqual({ text: 'a', limit: 2, parts: [] });
    // Each payload has a list of its own.
    expect(validatePayload(Everything, { text: 'a' }).parts).not.toBe(payload.parts);
  });

  it('types nested objects', () => {
    const payload = validatePayload(Everything, {
      text: 'a',
      points: [{ x: 1 }],
      shape: { kind: 'circle', at: { x: 2 } },
    });
    expect(payload.points?.[0]).toBeInstanceOf(Point);
    expect(payload.shape).toBeInstanceOf(Circle);
    expect(payload.shape?.at).toBeInstanceOf(Point);
  });

  it.each<[string, string, object]>([
    ['payload.text', 'isString', {}],
    ['payload.text', 'isString', { text: 1 }],
    ['payload.text', 'isString', { text: null }],
    ['payload.text', 'isString', { text: ['a'] }],
    ['payload.text', 'minLength', { text: '' }],
    ['payload.text', 'maxLength', { text: 'abcdef' }],
    ['payload.limit', 'isInt', { text: 'a', limit: '2' }],
    ['payload.limit', 'isInt', { text: 'a', limit: 1.5 }],
    ['payload.limit', 'max', { text: 'a', limit: 4 }],
    ['payload.limit', 'min', { text: 'a', limit: 0 }],
    ['payload.limit', 'isInt', { text: 'a', limit: null }],
    ['payload.points', 'isArray', { text: 'a', points: { 0: { x: 1 }, length: 1 } }],
    ['payload.points', 'isArray', { text: 'a', points: null }],
    ['payload.points', 'arrayMinSize', { text: 'a', points: [] }],
    ['payload.points', 'arrayMaxSize', { text: 'a', points: [1, 2, 3, 4] }],
    ['payload.points[0]', 'isObject', { text: 'a', points: [[]] }],
    ['payload.points[0]', 'isObject', { text: 'a', points: [null] }],
    ['payload.points[1].x', 'isInt', { text: 'a', points: [{ x: 1 }, { x: true }] }],
    ['payload.points[0].y', 'unknownField', { text: 'a', points: [{ x: 1, y: 2 }] }],
    ['payload.points[0].label', 'maxLength', { text: 'a', points: [{ x: 1, label: 'long' }] }],
    ['payload.points[0].label', 'isString', { text: 'a', points: [{ x: 1, label: null }] }],
    ['payload.shape', 'isObject', { text: 'a', shape: [] }],
    ['payload.shape.kind', 'isIn', { text: 'a', shape: {} }],
    ['payload.shape.kind', 'isIn', { text: 'a', shape: { kind: 'constructor' } }],
    ['payload.shape.at', 'required', { text: 'a', shape: { kind: 'circle' } }],
    ['payload.open', 'isObject', { text: 'a', open: [] }],
    ['payload.open', 'isObject', { text: 'a', open: null }],
    ['payload.any', 'maxJsonBytes', { text: 'a', any: 'x'.repeat(19) }],
    ['payload.any', 'maxJsonBytes', { text: 'a', any: '€€€€€€€' }],
    ['payload.flag', 'isBoolean', { text: 'a', flag: 'true' }],
    ['payload.some', 'isArray', { text: 'a', some: 'a' }],
    ['payload.some', 'isIn', { text: 'a', some: ['a', 'c'] }],
    ['payload.some', 'arrayMaxSize', { text: 'a', some: ['a', 'b', 'a'] }],
    ['payload.texts', 'isArray', { text: 'a', texts: { 0: 'a' } }],
    ['payload.texts', 'isString', { text: 'a', texts: ['a', 1] }],
    ['payload.texts', 'maxLength', { text: 'a', texts: ['abcd'] }],
    ['payload.id', 'isUuid', { text: 'a', id: 'x' }],
    ['payload.at', 'isInstant', { text: 'a', at: '2026-01-01' }],
    ['payload.at', 'isInstant', { text: 'a', at: '2026-13-01T00:00:00Z' }],
    ['payload.nope', 'unknownField', { text: 'a', nope: 1 }],
    ['payload["a b"]', 'unknownField', { text: 'a', 'a b': 1 }],
  ])('names %s by the rule %s', (field, rule, value) => {
    expect(violationsOf(value)).toEqual([expect.objectContaining({ field, rule })]);
  });

  it.each([null, undefined, [], [{ text: 'a' }], 'text', 1, new Map(), new Date(), Object.create({ text: 'a' })])(
    'takes only plain objects for objects: %p',
    (value) => expect(violationsOf(value)).toEqual([expect.objectContaining({ field: 'payload', rule: 'isObject' })]),
  );

  it.each([
    '__proto__',
    'constructor',
    'prototype',
    'hasOwnProperty',
    'isPrototypeOf',
    '__defineGetter__',
    'toString',
    'valueOf',
  ])('is not fooled by a field called %s', (name) => {
    const value: unknown = JSON.parse(`{"text":"a","${name}":{"flag":1}}`);
    expect(violationsOf(value)).toEqual([expect.objectContaining({ field: `payload.${name}`, rule: 'unknownField' })]);
    const nested: unknown = JSON.parse(`{"text":"a","points":[{"x":1,"${name}":{}}]}`);
    expect(violationsOf(nested)).toEqual([expect.objectContaining({ field: `payload.points[0].${name}` })]);
  });

  it('does not take an inherited value for a field', () => {
    expect(violationsOf(JSON.parse('{"__proto__":{"text":"a"}}'))).not.toEqual([]);
  });

  it('hands open objects on exactly as they came', () => {
    const open = JSON.parse('{"constructor":1,"then":{"deep":[1]}}') as JsonObject;
    const part = JSON.parse('{"type":"t","constructor":{"x":1},"extra":[]}') as JsonObject;
    const payload = validatePayload(Everything, { text: 'a', open, parts: [part] });
    expect(payload.open).toBe(open);
    expect(payload.parts[0]).toBe(part);
    expect(violationsOf({ text: 'a', parts: [{ ...part, type: 1 }] })).toEqual([
      expect.objectContaining({ field: 'payload.parts[0].type', rule: 'isString' }),
    ]);
  });

  it('reports every field at fault, but not without end', () => {
    expect(violationsOf({ text: 1, limit: 'x' }).map(({ field }) => field)).toEqual(['payload.text', 'payload.limit']);
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`f${i}`, 1]));
    expect(violationsOf(many)).toHaveLength(LIMITS.errorDetails);
  });

  it('answers anything with an instance or a ContractError, and never converts', () => {
    const values = fc.record(
      {
        text: fc.oneof(fc.string({ maxLength: 6 }), fc.jsonValue()),
        limit: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.jsonValue()),
        points: fc.oneof(
          fc.array(fc.record({ x: fc.integer({ min: -1, max: 10 }) }), { maxLength: 4 }),
          fc.jsonValue(),
        ),
        texts: fc.oneof(fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }), fc.jsonValue()),
        some: fc.oneof(fc.subarray(['a', 'b', 'c']), fc.jsonValue()),
        flag: fc.oneof(fc.boolean(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    let accepted = 0;
    fc.assert(
      fc.property(values, (raw) => {
        const value = JSON.parse(JSON.stringify(raw)) as object;
        if (violationsOf(value).length > 0) return;
        accepted++;
        expect(JSON.parse(JSON.stringify(validatePayload(Everything, value)))).toEqual({
          limit: 2,
          parts: [],
          ...value,
        });
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

describe('compileFieldsTest', () => {
  it('agrees with class-validator about any instance', () => {
    const passes = compileFieldsTest(getMetadataStorage().getTargetValidationMetadatas(Everything, '', true, false));
    const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, NaN, '', [], {}, ['a'], 'a', 1, true));
    const instances = fc
      .record(
        { text: odd, limit: odd, open: odd, any: odd, flag: odd, some: odd, texts: odd, id: odd, at: odd },
        { requiredKeys: [] },
      )
      .map((fields) => Object.assign(Object.create(Everything.prototype) as object, { text: 'a', limit: 1 }, fields));
    const verdicts = new Set<boolean>();
    const sparse = fc.tuple(
      instances,
      fc.subarray(['open', 'any', 'flag', 'some', 'texts', 'id', 'at', 'text', 'limit']),
    );
    fc.assert(
      fc.property(sparse, ([instance, dropped]) => {
        for (const name of dropped) {
          if (name === 'text' || name === 'limit') Object.assign(instance, { text: 'a', limit: 1 });
          else delete (instance as Record<string, unknown>)[name];
        }
        const verdict = passes(instance);
        verdicts.add(verdict);
        expect(verdict).toBe(validateSync(instance).length === 0);
      }),
      { numRuns: 3_000 },
    );
    expect(verdicts.size).toBe(2);
  });
});
