import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { storedEvents } from '@tyrum/outbox/testing';
import type { Statement } from '@tyrum/statestore';
import { eventually } from '@tyrum/test-services';
import { openSocket, startTestEdge, TestClient, TestDevice, type TestEdge, type TestEdgeOptions } from '../testing';

const edges: TestEdge[] = [];
async function start(options: TestEdgeOptions = {}): Promise<TestEdge> {
  const edge = await startTestEdge(options);
  edges.push(edge);
  return edge;
}
afterEach(async () => {
  for (const edge of edges.splice(0).reverse()) await edge.stop();
});

const get = (edge: TestEdge, token: string, path = '/v1/turns') =>
  fetch(`${edge.httpUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });

const setQuota = (column: string): Statement => ({
  name: `set-${column}`,
  postgres: `update tenant set ${column} = $2 where tenant_id = $1`,
  sqlite: `update tenant set ${column} = ?2 where tenant_id = ?1`,
});

/** Waits for a refusal of that tenant to be written down, and returns how often it was counted in all. */
function audited(edge: TestEdge, tenantId: string, wanted: Readonly<Record<string, string>>): Promise<number> {
  return eventually(async () => {
    const told = (await edge.store.read(storedEvents))
      .filter((event) => event.tenantId === tenantId && ['auth.failed', 'authz.denied'].includes(event.type))
      .map(({ payload }) => payload as Record<string, unknown> & { count: number });
    // Nothing else is in it: neither a token, nor an address.
    const counts = told.flatMap(({ count, ...rest }) => (isDeepStrictEqual(rest, wanted) ? [count] : []));
    expect(counts.length > 0 ? '' : JSON.stringify(told)).toBe('');
    return counts.reduce((sum, count) => sum + count, 0);
  });
}

/** Statuses of requests sent one after the other; more of them than a window's limit, whenever the window turns. */
async function statuses(ask: () => Promise<Response>, count: number): Promise<Response[]> {
  const answers: Response[] = [];
  for (let i = 0; i < count; i += 1) answers.push(await ask());
  return answers;
}

describe('rate limits', () => {
  it('answer 429 and when to come back, to that token only', async () => {
    const edge = await start({ limits: { perToken: 3 } });
    const [token, other] = [await edge.issue(), await edge.issue()];
    const answers = await statuses(() => get(edge, token), 10);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    for (const answer of refused) {
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(10);
      expect(await answer.json()).toMatchObject({
        code: 'rate_limited',
        details: { retry_after_ms: expect.any(Number) },
      });
    }
    expect((await get(edge, other)).status).toBe(200);
    const metrics = await (await fetch(`${edge.httpUrl}/metrics`)).text();
    expect(metrics).toMatch(/tyrum_gateway_rate_limited_total\{by="token"\} [1-9]/);
    const wanted = { reason: 'rate', subject: 'token', door: 'http', token_id: idOf(token) };
    expect(await audited(edge, DEFAULT_TENANT_ID, wanted)).toBe(refused.length);
  });

  it('hold on the WebSocket as well, and leave the connection open', async () => {
    const edge = await start({ limits: { perToken: 3 } });
    const token = await edge.issue();
    const client = await TestClient.connect(edge.socketUrl, token);
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.request('ping')));
    const refused = answers.filter(({ ok }) => !ok);
    expect(refused.length).toBeGreaterThanOrEqual(14);
    expect(refused[0]?.error).toMatchObject({ code: 'rate_limited', details: { retry_after_ms: expect.any(Number) } });
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    const wanted = { reason: 'rate', subject: 'token', door: 'ws', token_id: idOf(token) };
    expect(await audited(edge, DEFAULT_TENANT_ID, wanted)).toBe(refused.length);
    await client.close();
  });

  it('are per tenant where the tenant has a quota, whatever its tokens', async () => {
    const edge = await start();
    const tenantId = await edge.newTenant();
    await edge.store.execute(setQuota('max_requests'), [tenantId, 4]);
    const tokens = [await edge.issue({ tenantId }), await edge.issue({ tenantId })];
    let turn = 0;
    const answers = await statuses(() => get(edge, tokens[(turn += 1) % 2] as string), 14);
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(6);
    expect((await get(edge, await edge.issue())).status).toBe(200);
    for (const token of tokens) {
      await audited(edge, tenantId, { reason: 'rate', subject: 'tenant', door: 'http', token_id: idOf(token) });
    }
  });

  it('keep an address from asking for more, before its token is even looked at', async () => {
    const edge = await start({ limits: { perAddress: 5 } });
    const answers = await statuses(() => get(edge, 'nonsense'), 16);
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(6);
    const sockets = await Promise.all(
      Array.from({ length: 12 }, () => openSocket(edge.socketUrl, undefined).refused()),
    );
    expect(sockets).toContain(429);
    for (const door of ['http', 'ws']) {
      await audited(edge, DEFAULT_TENANT_ID, { reason: 'rate', subject: 'address', door });
    }
  });

  it('are shared by the edges on one Redis', async () => {
    const redis = process.env['TYRUM_TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379';
    const options = { limits: { perToken: 40 }, env: { TYRUM_REDIS_URL: redis } };
    const here = await start(options);
    const there = await start({ ...options, database: { url: here.databaseUrl } });
    const token = await here.issue();
    // At a window's end everything is counted anew, hence until both have been seen in one window.
    await eventually(async () => {
      await statuses(() => get(here, token), 45);
      expect((await get(there, token)).status).toBe(429);
    });
  });
});

const idOf = (token: string): string => token.split('.')[2] ?? '';

describe('connection caps', () => {
  it('hold for an address and for a tenant', async () => {
    const edge = await start({ maxPerAddress: 3 });
    const tenantId = await edge.newTenant();
    await edge.store.execute(setQuota('max_connections'), [tenantId, 2]);
    const [quota, free] = [await edge.issue({ tenantId }), await edge.issue()];
    const clients = [await TestClient.connect(edge.socketUrl, quota), await TestClient.connect(edge.socketUrl, quota)];
    expect(await openSocket(edge.socketUrl, quota).refused()).toBe(429);
    expect((await get(edge, quota, '/v1/events')).status).toBe(429);
    for (const door of ['ws', 'http']) {
      await clients[0]?.event('authz.denied', ({ payload }) => {
        const told = payload as unknown as Record<string, unknown>;
        const wanted = { door, reason: 'connections', subject: 'tenant', token_id: idOf(quota) };
        return Object.entries(wanted).every(([name, value]) => told[name] === value);
      });
    }
    clients.push(await TestClient.connect(edge.socketUrl, free));
    expect(await openSocket(edge.socketUrl, free).refused()).toBe(429);
    await clients[2]?.close();
    const again = await TestClient.connect(edge.socketUrl, free);
    for (const client of [...clients.slice(0, 2), again]) await client.close();
  });
});

describe('refusals', () => {
  it('become events of the tenant, a second of them at a time, without what was sent', async () => {
    const edge = await start();
    const admin = await edge.issue();
    const watcher = await TestClient.connect(edge.socketUrl, admin);
    const reader = await edge.issue({ role: 'client', scopes: ['operator.read'] });
    const readerId = reader.split('.')[2];
    const client = await TestClient.connect(edge.socketUrl, reader);

    await client.request('conversation.create');
    await client.request('capability.ready', { capabilities: [] });
    await Promise.all(Array.from({ length: 5 }, () => get(edge, reader, '/v1/tokens')));
    await get(edge, 'canary-token');
    await get(edge, `${reader}x`);
    await openSocket(edge.socketUrl, 'canary-token').refused();
    await openSocket(`${edge.socketUrl}?t=${reader}`, undefined).refused();
    const device = new TestDevice();
    const socket = openSocket(edge.socketUrl, reader);
    await socket.opened();
    const { result } = await socket.request('connect.init', device.initPayload());
    const proof = new TestDevice().proof(result);
    socket.send({ request_id: 'p', type: 'connect.proof', payload: { connection_id: result.connection_id, proof } });
    expect((await socket.closed).code).toBe(4007);

    const told = (type: string, payload: object) =>
      watcher.frame((frame) => {
        if (frame.type !== type) return false;
        return Object.entries(payload).every(([name, value]) => (frame.payload as never)[name] === value);
      });
    const ours = { token_id: readerId };
    await told('authz.denied', { ...ours, door: 'ws', reason: 'scope', subject: 'conversation.create', count: 1 });
    await told('authz.denied', { ...ours, door: 'ws', reason: 'role', subject: 'capability.ready' });
    const list = { ...ours, door: 'http', reason: 'scope', subject: 'GET /v1/tokens' };
    await eventually(() => expect(watcher.refusals(list)).toBe(5));
    await told('auth.failed', { door: 'http', reason: 'bad_token', token_id: undefined });
    await told('auth.failed', { ...ours, door: 'http', reason: 'bad_token' });
    await told('auth.failed', { door: 'ws', reason: 'bad_token' });
    await told('auth.failed', { ...ours, door: 'ws', reason: 'token_in_url' });
    await told('auth.failed', { ...ours, door: 'ws', reason: 'proof' });
    expect(JSON.stringify(watcher.frames)).not.toContain('canary');
    await Promise.all([watcher.close(), client.close()]);
  });

  it("of another tenant's token are told to that tenant only", async () => {
    const edge = await start();
    const tenantId = await edge.newTenant();
    const [theirs, admin] = [await edge.issue({ tenantId }), await edge.issue()];
    const [them, us] = [
      await TestClient.connect(edge.socketUrl, theirs),
      await TestClient.connect(edge.socketUrl, admin),
    ];
    await get(edge, `${theirs}x`);
    await them.event('auth.failed');
    await get(edge, `${admin}x`);
    await us.event('auth.failed');
    expect(us.events()).toHaveLength(1);
    await Promise.all([them.close(), us.close()]);
  });
});

it("ends a revoked token's sessions within two seconds at every edge, with no backplane between them", async () => {
  const here = await start({ pingIntervalMs: 3_600_000 });
  const there = await start({ database: { url: here.databaseUrl }, pingIntervalMs: 3_600_000 });
  const [token, kept] = [await here.issue(), await here.issue()];
  const clients = [await TestClient.connect(here.socketUrl, token), await TestClient.connect(there.socketUrl, token)];
  const other = await TestClient.connect(there.socketUrl, kept);
  await here.tokens.revoke('00000000-0000-4000-8000-000000000001', token.split('.')[2] as string);
  const revokedAt = performance.now();
  expect((await Promise.all(clients.map(({ closed }) => closed))).map(({ code }) => code)).toEqual([4004, 4004]);
  // Two seconds are the promise; the rest is for a loaded machine.
  expect(performance.now() - revokedAt).toBeLessThan(4_000);
  expect((await other.request('ping', {}, randomUUID())).ok).toBe(true);
  await other.close();
});
