import { Redis } from 'ioredis';
import type { Statement } from '@tyrum/statestore';
import { eventually, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { EventStreamClient, openSocket, startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

let redis: OwnRedis;
let admin: Redis;
let here: TestEdge;
let there: TestEdge;
const clients: TestClient[] = [];

beforeAll(async () => {
  redis = await startOwnRedis();
  admin = new Redis(redis.url, { retryStrategy: () => 100 });
  admin.on('error', () => undefined);
});
afterAll(async () => {
  admin.disconnect();
  await redis.stop();
});
beforeEach(async () => {
  const env = { TYRUM_REDIS_URL: redis.url };
  here = await startTestEdge({ env, limits: { perToken: 60 }, maxPerAddress: 12 });
  there = await startTestEdge({
    env,
    limits: { perToken: 60 },
    maxPerAddress: 12,
    database: { url: here.databaseUrl },
  });
  await together();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await there.stop();
  await here.stop();
  await redis.kill('SIGCONT');
});

const said = (edge: TestEdge, text: string) => edge.logs.filter(({ msg }) => String(msg).includes(text)).length;
/** Waits until both edges have said so as often as that. */
const together = (times = 1) =>
  eventually(() => {
    for (const edge of [here, there]) expect(said(edge, 'together with the other edges')).toBe(times);
    return Promise.resolve();
  });
const alone = () =>
  eventually(() => {
    for (const edge of [here, there]) expect(said(edge, 'by this edge alone')).toBe(1);
    return Promise.resolve();
  });

const setQuota: Statement = {
  name: 'set-quota',
  postgres: 'update tenant set max_connections = $2 where tenant_id = $1',
  sqlite: 'update tenant set max_connections = ?2 where tenant_id = ?1',
};

async function connect(edge: TestEdge, token: string, device = new TestDevice()): Promise<TestClient> {
  const client = await TestClient.connect(edge.socketUrl, token, { device });
  clients.push(client);
  return client;
}

/** The code with which another connection of the device is closed; undefined when it is let in. */
async function refusalOf(edge: TestEdge, token: string, device: TestDevice): Promise<number | undefined> {
  const socket = openSocket(edge.socketUrl, token);
  await socket.opened();
  const { result } = await socket.request('connect.init', device.initPayload());
  const proof = device.proof(result);
  const established = socket.request('connect.proof', { connection_id: result.connection_id, proof });
  return Promise.race([established.then(() => void socket.close()), socket.closed.then(({ code }) => code)]).catch(() =>
    socket.closed.then(({ code }) => code),
  );
}

it('a device has as many connections at all edges as it may have at one', async () => {
  const [token, device] = [await here.issue(), new TestDevice()];
  for (let i = 0; i < 8; i += 1) await connect(i % 2 ? here : there, token, device);
  expect([await refusalOf(here, token, device), await refusalOf(there, token, device)]).toEqual([1008, 1008]);
  // Another one has its own, and a place that is given back at one edge is free at the other.
  await connect(here, token, new TestDevice());
  await clients[0]?.close();
  await eventually(async () => expect(await refusalOf(here, token, device)).toBeUndefined());
});

it('so has an address, and a tenant with its event streams', async () => {
  const tenantId = await here.newTenant();
  await here.store.execute(setQuota, [tenantId, 3]);
  const [bounded, free] = [await here.issue({ tenantId }), await here.issue()];
  await connect(here, bounded);
  const stream = await EventStreamClient.open(there.httpUrl, bounded);
  await connect(there, bounded);
  for (const edge of [here, there]) {
    expect(await openSocket(edge.socketUrl, bounded).refused()).toBe(429);
    await expect(EventStreamClient.open(edge.httpUrl, bounded)).rejects.toThrow('429');
  }
  stream.close();
  await eventually(() => connect(here, bounded));

  const others = 12 - clients.length;
  for (let i = 0; i < others; i += 1) await connect(i % 2 ? here : there, free);
  for (const edge of [here, there]) expect(await openSocket(edge.socketUrl, free).refused()).toBe(429);
});

it('is as before soon after Redis lost everything', async () => {
  const [token, device] = [await here.issue(), new TestDevice()];
  for (let i = 0; i < 8; i += 1) await connect(i % 2 ? here : there, token, device);
  await admin.flushall();
  await eventually(async () => {
    expect([await refusalOf(here, token, device), await refusalOf(there, token, device)]).toEqual([1008, 1008]);
  });
});

describe.each(['SIGKILL', 'SIGSTOP'] as const)('while Redis is away (%s)', (signal) => {
  it('each edge keeps the limits alone, nobody waits, and all is as before when it is back', async () => {
    const [token, device] = [await here.issue(), new TestDevice()];
    const started = performance.now();
    for (let i = 0; i < 7; i += 1) await connect(here, token, device);
    // Slow machines serve slowly, with Redis too.
    const usualMs = performance.now() - started;
    await redis.kill(signal);
    const began = performance.now();
    // There, none of the device's are known now; here, one more is let in as ever.
    await connect(there, token, device);
    await connect(here, token, device);
    await connect(there, token, device);
    expect(performance.now() - began).toBeLessThan(3_000 + usualMs);
    expect(await refusalOf(here, token, device)).toBe(1008);
    await alone();
    const asked = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 130 }, () =>
        fetch(`${there.httpUrl}/v1/session`, { headers: { authorization: `Bearer ${token}` } }),
      ),
    );
    expect(performance.now() - asked).toBeLessThan(5_000 + 10 * usualMs);
    // The edge's own limit holds, whatever has become of the shared one.
    const statuses = new Set(answers.map(({ status }) => status));
    expect(statuses).toEqual(new Set([200, 429]));

    if (signal === 'SIGSTOP') await redis.kill('SIGCONT');
    else await redis.start();
    await together(2);
    expect(await refusalOf(there, token, device)).toBe(1008);
    // Ten of eight: two have to go before there is a place again.
    for (const client of clients.slice(0, 3)) await client.close();
    await eventually(async () => expect(await refusalOf(there, token, device)).toBeUndefined());
  });
});

it('loses nothing that a peer sends right behind its proof', async () => {
  const [token, device] = [await here.issue(), new TestDevice()];
  const socket = openSocket(here.socketUrl, token);
  clients.push(socket);
  await socket.opened();
  const { result } = await socket.request('connect.init', device.initPayload());
  const proof = { connection_id: result.connection_id, proof: device.proof(result) };
  const answers = [socket.request('connect.proof', proof)];
  for (let i = 0; i < 5; i += 1) answers.push(socket.request('ping', {}));
  expect((await Promise.all(answers)).map(({ ok }) => ok)).toEqual(Array<boolean>(6).fill(true));
});
