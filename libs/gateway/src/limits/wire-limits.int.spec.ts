import { createDeviceIdentity, TyrumClient, type WebSocketConstructor } from '@tyrum/client';
import { loadConfig } from '@tyrum/platform';
import { CloseCode, LIMITS } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { WebSocket } from 'ws';
import { openSocket, startTestEdge, TestClient, TestDevice, type Frame, type TestEdge } from '../testing';

const MIB = 1024 * 1024;
let edge: TestEdge | undefined;
async function start(env: Record<string, string>): Promise<TestEdge> {
  return (edge = await startTestEdge({ env }));
}
afterEach(async () => {
  await edge?.stop();
  edge = undefined;
});

const ping = (payload: object = {}) => ({ request_id: 'r', type: 'ping', payload });
const nested = (depth: number): object => (depth === 0 ? {} : { a: nested(depth - 1) });

async function post(here: TestEdge, body: string): Promise<Response> {
  const headers = { authorization: `Bearer ${await here.issue()}`, 'content-type': 'application/json' };
  return fetch(`${here.httpUrl}/v1/conversations`, { method: 'POST', headers, body });
}

it('are those of the protocol where nothing else is said', () => {
  expect(loadConfig('edge', {}).wire).toEqual({
    frameMaxBytes: LIMITS.frameBytes,
    bodyMaxBytes: LIMITS.frameBytes,
    jsonMaxDepth: LIMITS.jsonDepth,
    messagesBeforeHandshake: LIMITS.messagesBeforeHandshake,
    requestsInFlight: LIMITS.requestsInFlightPerConnection,
    sendBufferBytes: LIMITS.sendBufferBytes,
    pingIntervalMs: LIMITS.pingIntervalMs,
    missedPings: LIMITS.missedPingsBeforeClose,
    connectionsPerDevice: LIMITS.connectionsPerDevice,
    handshakeMs: LIMITS.handshakeMs,
  });
});

it('TYRUM_FRAME_MAX_BYTES closes with 1009 on a larger frame', async () => {
  const here = await start({ TYRUM_FRAME_MAX_BYTES: '4096' });
  const client = await TestClient.connect(here.socketUrl, await here.issue());
  client.send('x'.repeat(4_097));
  expect(await client.closed).toMatchObject({ code: CloseCode.TooBig });
});

it('TYRUM_FRAME_MAX_BYTES may be larger, and depth and HTTP bodies are then checked as before', async () => {
  const here = await start({ TYRUM_FRAME_MAX_BYTES: String(4 * MIB) });
  const client = await TestClient.connect(here.socketUrl, await here.issue());
  // Read as a frame, and refused by the rules of its payload.
  const answer = await client.request('ping', { extra: 'x'.repeat(2 * MIB) });
  expect(answer.error).toMatchObject({ code: 'contract_error' });
  client.send(ping({ extra: ['x'.repeat(2 * MIB), nested(100)] }));
  expect((await client.event('error')).payload).toMatchObject({ message: 'JSON must not nest deeper than 64' });
  await client.close();
  expect((await post(here, JSON.stringify({ extra: 'x'.repeat(2 * MIB) }))).status).toBe(413);
});

it('TYRUM_BODY_MAX_BYTES refuses a larger body with 413', async () => {
  const here = await start({ TYRUM_BODY_MAX_BYTES: '4096' });
  expect((await post(here, JSON.stringify({ extra: 'x'.repeat(4_096) }))).status).toBe(413);
  expect((await post(here, '{}')).status).toBe(201);
});

it('TYRUM_BODY_MAX_BYTES may be larger, and depth is then checked as before', async () => {
  const here = await start({ TYRUM_BODY_MAX_BYTES: String(4 * MIB) });
  const large = await post(here, JSON.stringify({ extra: 'x'.repeat(2 * MIB) }));
  expect([large.status, await large.text()]).toEqual([400, expect.stringContaining('extra')]);
  const deep = await post(here, JSON.stringify({ extra: ['x'.repeat(2 * MIB), nested(100)] }));
  expect([deep.status, await deep.text()]).toEqual([400, expect.stringContaining('deeper than 64')]);
});

it('TYRUM_JSON_MAX_DEPTH refuses deeper frames and bodies', async () => {
  const here = await start({ TYRUM_JSON_MAX_DEPTH: '8' });
  const client = await TestClient.connect(here.socketUrl, await here.issue());
  client.send(ping(nested(20)));
  expect((await client.event('error')).payload).toMatchObject({ message: 'JSON must not nest deeper than 8' });
  await client.close();
  const deep = await post(here, JSON.stringify(nested(20)));
  expect([deep.status, await deep.text()]).toEqual([400, expect.stringContaining('deeper than 8')]);
  const greeting = openSocket(here.socketUrl, await here.issue());
  await greeting.opened();
  greeting.send({ request_id: 'r', type: 'connect.init', payload: nested(20) });
  expect(await greeting.closed).toEqual({ code: CloseCode.BadMessage, reason: 'JSON must not nest deeper than 8' });
});

it('TYRUM_MESSAGES_BEFORE_HANDSHAKE closes with 1008 on one more', async () => {
  const here = await start({ TYRUM_MESSAGES_BEFORE_HANDSHAKE: '2' });
  const client = openSocket(here.socketUrl, await here.issue());
  await client.opened();
  const device = new TestDevice();
  for (let i = 0; i < 2; i += 1) await client.request('connect.init', device.initPayload());
  client.send({ request_id: 'r', type: 'connect.init', payload: device.initPayload() });
  expect(await client.closed).toMatchObject({ code: CloseCode.Policy });
});

it('TYRUM_HANDSHAKE_MS closes with 4002 when it takes longer', async () => {
  const here = await start({ TYRUM_HANDSHAKE_MS: '100' });
  const client = openSocket(here.socketUrl, await here.issue());
  expect(await client.closed).toMatchObject({ code: CloseCode.HandshakeTimeout });
});

it('TYRUM_REQUESTS_IN_FLIGHT answers rate_limited to those beyond', async () => {
  const here = await start({ TYRUM_REQUESTS_IN_FLIGHT: '2' });
  const client = await TestClient.connect(here.socketUrl, await here.issue());
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.request('conversation.list')));
  const refused = answers.filter(({ ok }) => !ok);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.error).toMatchObject({ code: 'rate_limited' });
  expect((await client.request('conversation.list')).ok).toBe(true);
  await client.close();
});

it('TYRUM_PING_INTERVAL_MS and TYRUM_MISSED_PINGS cut a peer that does not answer', async () => {
  const here = await start({ TYRUM_PING_INTERVAL_MS: '500', TYRUM_MISSED_PINGS: '1' });
  const lively = await TestClient.connect(here.socketUrl, await here.issue());
  const gone = await TestClient.connect(here.socketUrl, await here.issue(), { autoPong: false });
  let pings = 0;
  gone.socket.on('ping', () => (pings += 1));
  expect(await gone.closed).toMatchObject({ code: 1006 });
  expect(pings).toBe(1);
  expect((await lively.request('ping')).ok).toBe(true);
  await lively.close();
});

it('asks nodes by the request `ping` as well, and any frame of theirs is an answer', async () => {
  const here = await start({ TYRUM_PING_INTERVAL_MS: '500', TYRUM_MISSED_PINGS: '2' });
  const token = await here.issue({ role: 'node' });
  const connect = (autoPong: boolean) => TestClient.connect(here.socketUrl, token, { role: 'node', autoPong });
  // One does not know the request and sends pongs, one refuses it and sends none, one leaves both unanswered.
  const [ponging, refusing] = [await connect(true), await connect(false)];
  const gone = await connect(false);
  // And one is the client library, in a browser that hides pings.
  const sockets: WebSocket[] = [];
  const NoPongs = class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { autoPong: false });
      sockets.push(this);
    }
  };
  const library = new TyrumClient({
    url: here.socketUrl,
    token,
    identity: await createDeviceIdentity(),
    role: 'node',
    WebSocket: NoPongs as unknown as WebSocketConstructor,
  });
  await library.connect();
  const client = await TestClient.connect(here.socketUrl, await here.issue());
  refusing.socket.on('message', (data) => {
    const { request_id, type, ok } = JSON.parse(String(data)) as Frame;
    if (type !== 'ping' || ok !== undefined) return;
    refusing.send({ request_id, type, ok: false, error: { code: 'not_found', message: 'no such request' } });
  });
  expect(await gone.closed).toMatchObject({ code: 1006 });
  expect(gone.asks('ping')).toHaveLength(2);
  expect(gone.asks('ping')[0]).toEqual({ request_id: expect.any(String), type: 'ping', payload: {} });
  await eventually(() => {
    for (const node of [ponging, refusing]) expect(node.asks('ping').length).toBeGreaterThan(4);
  });
  for (const node of [ponging, refusing]) {
    expect((await node.request('ping')).ok).toBe(true);
    expect(node.events().filter(({ type }) => type === 'error')).toEqual([]);
    await node.close();
  }
  await library.request('ping', {});
  expect(sockets).toHaveLength(1);
  library.close();
  expect(client.asks('ping')).toEqual([]);
  await client.close();
});

it('TYRUM_CONNECTIONS_PER_DEVICE closes with 1008 on one more, and refuses another event stream', async () => {
  const here = await start({ TYRUM_CONNECTIONS_PER_DEVICE: '1' });
  const token = await here.issue();
  const device = new TestDevice();
  const first = await TestClient.connect(here.socketUrl, token, { device });
  const second = openSocket(here.socketUrl, token);
  await second.opened();
  const { result } = await second.request('connect.init', device.initPayload());
  const payload = { connection_id: result.connection_id, proof: device.proof(result) };
  second.send({ request_id: 'r', type: 'connect.proof', payload });
  expect(await second.closed).toEqual({ code: CloseCode.Policy, reason: 'a device may have 1 connections' });
  await first.close();

  const leave = new AbortController();
  const listen = () =>
    fetch(`${here.httpUrl}/v1/events`, { headers: { authorization: `Bearer ${token}` }, signal: leave.signal });
  expect((await listen()).status).toBe(200);
  expect((await listen()).status).toBe(429);
  leave.abort();
});
