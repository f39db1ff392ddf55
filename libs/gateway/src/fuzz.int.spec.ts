import { allows } from '@tyrum/identity';
import { CloseCode, DEFAULT_TENANT_ID, ERROR_CODES } from '@tyrum/protocol';
import fc from 'fast-check';
import openapi from './http/openapi.json';
import { hostileFrame, hostileRequest } from './testing/hostile-messages';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from './testing';
import { Handshake } from './ws/handshake';

/*
 * Thousands of messages nobody meant well with, at every door. `npm run fuzz` sends the full 50,000; in between, a part of them
 * with another seed each time. A failure prints the seed: TYRUM_TEST_FUZZ_SEED repeats it.
 */

const RUNS = Number(process.env['TYRUM_TEST_FUZZ'] ?? 3_000);
const SEED = Number(process.env['TYRUM_TEST_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const sampled = <T>(arbitrary: fc.Arbitrary<T>, share: number): T[] =>
  fc.sample(arbitrary, { numRuns: Math.ceil(RUNS * share), seed: SEED });

/** Frames of one batch; below what a connection may have in flight. */
const BATCH = 50;

describe(`hostile messages, seed ${SEED}`, () => {
  let edge: TestEdge;
  let token: string;
  beforeAll(async () => {
    edge = await startTestEdge();
    token = await edge.issue();
  });
  // `stop` throws as well when any answer was not of a published shape.
  afterAll(() => edge.stop());

  /** Nothing surprised the gateway: surprises are logged as errors. */
  const expectNoSurprise = (): void => {
    expect(edge.logs.filter(({ level }) => ['error', 'fatal'].includes(String(level)) || Number(level) >= 50)).toEqual(
      [],
    );
    expect(JSON.stringify(edge.logs)).not.toContain(token.split('.').at(-1));
  };

  it('before the handshake end with a close code of ours, and never with an exception', () => {
    const codes: ReadonlySet<number> = new Set(Object.values(CloseCode));
    const principal = { tenantId: DEFAULT_TENANT_ID, tokenId: 't', role: 'client', scopes: [] } as const;
    expect(allows(principal, 'operator.read')).toBe(false);
    const device = new TestDevice();
    const init = JSON.stringify({ request_id: 'i', type: 'connect.init', payload: device.initPayload() });
    let closed = 0;
    sampled(hostileFrame, 0.4).forEach((frame, i) => {
      const handshake = new Handshake(
        principal,
        { newId: () => 'id', newChallenge: () => 'challenge' },
        { messagesBeforeHandshake: 4, json: {} },
      );
      if (i % 2) handshake.receive(init);
      const step = handshake.receive(frame);
      expect(step.kind).not.toBe('established');
      if (step.kind !== 'close') return;
      closed += 1;
      expect(codes.has(step.code)).toBe(true);
    });
    expect(closed).toBeGreaterThan(0);
  });

  it('on a connection are answered with typed errors, and the connection lives on', async () => {
    const frames = sampled(hostileFrame, 0.4);
    const outcomes = new Map<string, number>();
    for (let at = 0; at < frames.length; at += BATCH) {
      const client = await TestClient.connect(edge.socketUrl, token);
      for (const frame of frames.slice(at, at + BATCH)) client.send(frame);
      expect((await client.request('ping')).ok).toBe(true);
      for (const { error } of client.frames) {
        if (error) outcomes.set(error.code, (outcomes.get(error.code) ?? 0) + 1);
      }
      await client.close();
    }
    expect([...outcomes.keys()].filter((code) => !(ERROR_CODES as readonly string[]).includes(code))).toEqual([]);
    expect(outcomes.get('internal')).toBeUndefined();
    expect(outcomes.get('contract_error')).toBeGreaterThan(frames.length / 10);
    expectNoSurprise();
  });

  it('over HTTP are answered with problems below 500', async () => {
    const paths = Object.keys(openapi.paths).filter((path) => path !== '/v1/events');
    const surprises: string[] = [];
    const statuses = new Set<number>();
    for (const { method, path, body, key, type } of sampled(hostileRequest(paths), 0.2)) {
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': type,
        ...(key ? { 'idempotency-key': key } : {}),
      };
      const answer = await fetch(`${edge.httpUrl}${path}`, {
        method,
        headers,
        // fetch sends none with GET.
        ...(body === undefined || method === 'GET' ? {} : { body }),
      });
      const told = await answer.text();
      statuses.add(answer.status);
      const isTyped = answer.status < 400 || answer.headers.get('content-type') === 'application/problem+json';
      if (answer.status >= 500 || !isTyped) surprises.push(`${method} ${path}: ${answer.status} ${told.slice(0, 200)}`);
    }
    expect(surprises).toEqual([]);
    expect([...statuses]).toEqual(expect.arrayContaining([400, 404]));
    expectNoSurprise();
  });
});
