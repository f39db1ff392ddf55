import fc from 'fast-check';
import { errorResponse, eventEnvelope, okResponse } from './envelope';
import { ContractError, WireError } from './error-codes';
import { eventScope } from './events';
import { LIMITS } from './limits';
import { EnvelopeError, parseEnvelope } from './parse-envelope';

const request = { request_id: 'r1', type: 'ping', payload: {} };

function refusalOf(frame: unknown): EnvelopeError {
  try {
    parseEnvelope(typeof frame === 'string' ? frame : JSON.stringify(frame));
  } catch (error) {
    if (error instanceof EnvelopeError) return error;
    throw error;
  }
  throw new Error('the frame was accepted');
}

describe('parseEnvelope', () => {
  it('reads requests, responses and events', () => {
    expect(parseEnvelope(JSON.stringify({ ...request, trace: { id: 'x' } }))).toEqual({
      kind: 'request',
      request: { ...request, trace: { id: 'x' } },
    });
    const ok = okResponse(request, { a: 1 });
    expect(parseEnvelope(JSON.stringify(ok))).toEqual({ kind: 'response', response: ok });
    const failed = errorResponse(request, new WireError('not_found', 'no such turn').toBody());
    expect(parseEnvelope(JSON.stringify(failed))).toEqual({ kind: 'response', response: failed });
    const event = eventEnvelope({
      eventId: 'e1',
      type: 'turn.queued',
      occurredAtMs: 0,
      payload: { turn_id: 't' },
      scope: eventScope('turn', 't'),
      cursor: 'c',
    });
    expect(parseEnvelope(JSON.stringify(event))).toEqual({ kind: 'event', event });
    expect(event.occurred_at).toBe('1970-01-01T00:00:00.000Z');
  });

  it.each([
    ['request_id', 'required', { type: 'ping', payload: {} }],
    ['request_id', 'isString', { ...request, request_id: '' }],
    ['request_id', 'isString', { ...request, request_id: 1 }],
    ['request_id', 'isString', { ...request, request_id: 'x'.repeat(256) }],
    ['type', 'isString', { ...request, type: null }],
    ['payload', 'required', { request_id: 'r', type: 'ping' }],
    ['payload', 'isObject', { ...request, payload: [] }],
    ['payload', 'isObject', { ...request, payload: null }],
    ['extra', 'unknownField', { ...request, extra: 1 }],
    ['constructor', 'unknownField', { ...request, constructor: 1 }],
    ['["a b"]', 'unknownField', { ...request, 'a b': 1 }],
    ['result', 'unknownField', { ...request, result: 1 }],
    ['ok', 'isBoolean', { request_id: 'r', type: 'ping', ok: 'true' }],
    ['error', 'required', { request_id: 'r', type: 'ping', ok: false }],
    ['error.code', 'required', { request_id: 'r', type: 'ping', ok: false, error: { message: 'm' } }],
    ['error', 'unknownField', { request_id: 'r', type: 'ping', ok: true, error: { code: 'c', message: 'm' } }],
    ['scope.kind', 'isIn', { event_id: 'e', type: 't', occurred_at: 'x', payload: {}, scope: { kind: 'toString' } }],
    ['scope.turn_id', 'required', { event_id: 'e', type: 't', occurred_at: 'x', payload: {}, scope: { kind: 'turn' } }],
    [
      'scope.x',
      'unknownField',
      { event_id: 'e', type: 't', occurred_at: 'x', payload: {}, scope: { kind: 'global', x: 1 } },
    ],
  ])('names %s by the rule %s', (field, rule, frame) => {
    expect(refusalOf(frame).details).toEqual([expect.objectContaining({ field, rule })]);
  });

  it.each(['', 'x', '[]', 'null', '1', '"a"', '{', '{"a":1}}'])('refuses %j', (text) => {
    expect(refusalOf(text)).toBeInstanceOf(ContractError);
  });

  it('refuses what is too deep or too large before parsing it', () => {
    expect(refusalOf(`{"request_id":"r","type":"t","payload":${'['.repeat(200_000)}`).details[0]!.rule).toBe(
      'maxDepth',
    );
    const deepest = `${'{"a":'.repeat(LIMITS.jsonDepth - 1)}1${'}'.repeat(LIMITS.jsonDepth - 1)}`;
    expect(parseEnvelope(`{"request_id":"r","type":"t","payload":${deepest}}`).kind).toBe('request');
    expect(refusalOf(`{"request_id":"r","type":"t","payload":{"b":${deepest}}}`).details[0]!.rule).toBe('maxDepth');
    // Half a million characters of three bytes each.
    expect(refusalOf(JSON.stringify({ ...request, payload: { text: '€'.repeat(500_000) } })).details[0]!.rule).toBe(
      'maxBytes',
    );
    expect(parseEnvelope(JSON.stringify({ ...request, payload: { text: 'x'.repeat(1_000_000) } })).kind).toBe(
      'request',
    );
  });

  it.each([
    ['payload.a[1].b', 'nullCharacter', '{"a":[1,{"b":"x\\u0000"}]}'],
    ['payload["x\\u0000"]', 'nullCharacter', '{"x\\u0000":1}'],
    ['payload.a', 'wellFormed', '{"a":"\\ud800"}'],
    ['payload.a', 'finite', '{"a":1e999}'],
    ['payload.a.__proto__', 'forbiddenKey', '{"a":{"__proto__":{"admin":true}}}'],
    ['payload.a.__proto__', 'forbiddenKey', '{"a":{"\\u005f_proto__":1}}'],
  ])('refuses what cannot be stored: %s %s', (field, rule, payload) => {
    const error = refusalOf(`{"request_id":"r","type":"t","payload":${payload}}`);
    expect(error.details).toEqual([expect.objectContaining({ field, rule })]);
    expect(error.request).toEqual({ request_id: 'r', type: 't' });
    // The answer itself can be stored.
    expect(JSON.stringify(error.toBody())).not.toMatch(/(?<!\\)(\\\\)*\\u(0000|d8)/);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('says which request an error answers only if that can be echoed', () => {
    expect(refusalOf({ ...request, extra: 1 }).request).toEqual({ request_id: 'r1', type: 'ping' });
    expect(refusalOf({ ...request, request_id: 'a\0' }).request).toBeUndefined();
    expect(refusalOf({ ...request, request_id: 7 }).request).toBeUndefined();
    expect(refusalOf({ request_id: 'r', type: 't', ok: 1 }).request).toBeUndefined();
    expect(refusalOf('[').request).toBeUndefined();
  });

  it('keeps names that only look dangerous', () => {
    const payload = JSON.parse('{"constructor":{"prototype":1},"toString":2,"hasOwnProperty":3}') as object;
    expect(parseEnvelope(JSON.stringify({ ...request, payload }))).toEqual({
      kind: 'request',
      request: { ...request, payload },
    });
  });

  it('reads back any request', () => {
    const payloads = fc
      .dictionary(fc.string(), fc.jsonValue())
      .map((value) => JSON.parse(JSON.stringify(value)) as object);
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 255 }), payloads, (request_id, payload) => {
        const text = JSON.stringify({ request_id, type: 't', payload });
        fc.pre(!text.includes('\\u0000') && !text.includes('__proto__'));
        expect(parseEnvelope(text)).toEqual({ kind: 'request', request: { request_id, type: 't', payload } });
      }),
    );
  });

  it('answers any text with an envelope or an EnvelopeError', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '"request_id"',
      '"ok"',
      '"type"',
      'true',
      '1',
      '\\',
      '"payload"',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(token).map((tokens) => tokens.join('')),
        ),
        (text) => {
          try {
            parseEnvelope(text);
          } catch (error) {
            expect(error).toBeInstanceOf(EnvelopeError);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('okResponse', () => {
  it('has a result unless that is undefined', () => {
    expect(okResponse(request)).toEqual({ request_id: 'r1', type: 'ping', ok: true });
    expect(Object.keys(okResponse(request, undefined))).not.toContain('result');
    expect(okResponse(request, null)).toHaveProperty('result', null);
  });
});
