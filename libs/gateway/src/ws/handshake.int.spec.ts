import { CloseCode, LIMITS } from '@tyrum/protocol';
import { openSocket, startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

let edge: TestEdge;
let token: string;
let device: TestDevice;
beforeAll(async () => {
  edge = await startTestEdge({ handshakeMs: 400 });
  token = await edge.issue();
  device = new TestDevice();
});
afterAll(() => edge.stop());

async function opened(bearer = token): Promise<TestClient> {
  const client = openSocket(edge.socketUrl, bearer);
  await client.opened();
  return client;
}

const request = (type: string, payload: object, request_id = '1') => ({ request_id, type, payload });

it('ends in a connection whose client_id is its connection_id', async () => {
  const client = await opened();
  const init = await client.request('connect.init', device.initPayload({ capabilities: undefined }));
  expect(Object.keys(init.result).sort()).toEqual(['challenge', 'connection_id']);
  expect(Buffer.from(init.result.challenge, 'base64url')).toHaveLength(32);
  const { connection_id } = init.result;
  const proof = await client.request('connect.proof', { connection_id, proof: device.proof(init.result) });
  expect(proof.result).toEqual({ client_id: connection_id, device_id: device.deviceId, role: 'client' });
  expect(await client.request('ping')).toEqual(expect.objectContaining({ type: 'ping', ok: true }));
  await client.close();
});

const first: [string, number, (device: TestDevice) => unknown][] = [
  ['text that is no JSON', 4003, () => '{'],
  ['an array', 4003, () => []],
  ['a binary frame', 4003, (d) => Buffer.from(JSON.stringify(request('connect.init', d.initPayload())))],
  ['JSON nested too deep', 4003, () => '['.repeat(100) + ']'.repeat(100)],
  ['an unknown field of the envelope', 4003, (d) => ({ ...request('connect.init', d.initPayload()), extra: 1 })],
  ['an unknown field of the payload', 4003, (d) => request('connect.init', d.initPayload({ extra: 1 }))],
  ['a missing field', 4003, (d) => request('connect.init', d.initPayload({ role: undefined }))],
  ['the legacy connect', 4003, () => request('connect', { protocol_rev: 2 })],
  ['a ping', 4003, () => request('ping', {})],
  ['a proof before the init', 4003, () => request('connect.proof', { connection_id: 'x', proof: 'x' })],
  ['a response', 4003, () => ({ request_id: '1', type: 'connect.init', ok: true })],
  ['an event', 4003, () => ({ event_id: '1', type: 'error', occurred_at: 'now', payload: {} })],
  ['another revision', 4005, (d) => request('connect.init', d.initPayload({ protocol_rev: 1 }))],
  ['another revision with fields of its own', 4005, () => request('connect.init', { protocol_rev: 3, hello: true })],
  [
    "another device's id",
    4006,
    (d) =>
      request('connect.init', d.initPayload({ device: { device_id: new TestDevice().deviceId, pubkey: d.pubkey } })),
  ],
  [
    'a key that is none',
    4006,
    (d) => request('connect.init', d.initPayload({ device: { device_id: d.deviceId, pubkey: 'AAAA' } })),
  ],
];

it.each(first)('closes on %s with %i', async (_, code, frame) => {
  const client = await opened();
  client.send(frame(device));
  expect(await client.closed).toMatchObject({ code });
});

it('closes with 4007 on a proof of another key, role, challenge or connection', async () => {
  const spoil: ((init: { connection_id: string; challenge: string }) => object)[] = [
    (init) => ({ connection_id: init.connection_id, proof: new TestDevice().proof(init) }),
    (init) => ({ connection_id: init.connection_id, proof: device.proof(init, 'node') }),
    (init) => ({ connection_id: init.connection_id, proof: device.proof({ ...init, challenge: 'AAAA' }) }),
    (init) => ({ connection_id: 'other', proof: device.proof(init) }),
    (init) => ({ connection_id: init.connection_id, proof: 'AAAA' }),
  ];
  for (const payloadOf of spoil) {
    const client = await opened();
    const { result } = await client.request('connect.init', device.initPayload());
    client.send(request('connect.proof', payloadOf(result)));
    expect(await client.closed).toMatchObject({ code: CloseCode.InvalidProof });
  }
});

it('takes an old challenge no more once it gave a new one', async () => {
  const client = await opened();
  const old = await client.request('connect.init', device.initPayload());
  const fresh = await client.request('connect.init', device.initPayload());
  expect(fresh.result.challenge).not.toBe(old.result.challenge);
  client.send(request('connect.proof', { connection_id: old.result.connection_id, proof: device.proof(old.result) }));
  expect(await client.closed).toMatchObject({ code: CloseCode.InvalidProof });
});

it('reads no more than four messages before the handshake is done', async () => {
  const client = await opened();
  for (let i = 0; i < LIMITS.messagesBeforeHandshake; i += 1)
    await client.request('connect.init', device.initPayload());
  client.send(request('connect.init', device.initPayload()));
  expect(await client.closed).toMatchObject({ code: CloseCode.Policy });
});

it('closes with 4002 when the handshake takes too long, however busy it is', async () => {
  const client = await opened();
  await client.request('connect.init', device.initPayload());
  expect(await client.closed).toMatchObject({ code: CloseCode.HandshakeTimeout });
});

it('closes with 1009 on a frame of more than 1 MiB', async () => {
  const client = await opened();
  client.send('x'.repeat(LIMITS.frameBytes + 1));
  expect(await client.closed).toMatchObject({ code: CloseCode.TooBig });
});

it('binds a token to its device, and a node token to the role of a node', async () => {
  const bound = await edge.issue({ role: 'client', deviceId: device.deviceId });
  const mine = await TestClient.connect(edge.socketUrl, bound, { device });
  await mine.close();
  const theirs = await opened(bound);
  theirs.send(request('connect.init', new TestDevice().initPayload()));
  expect(await theirs.closed).toMatchObject({ code: CloseCode.TokenBoundToOtherDevice });

  const nodeToken = await edge.issue({ role: 'node' });
  const node = await TestClient.connect(edge.socketUrl, nodeToken, { role: 'node' });
  await node.close();
  const posing = await opened(nodeToken);
  posing.send(request('connect.init', device.initPayload()));
  expect(await posing.closed).toMatchObject({ code: CloseCode.Unauthorized });
});

it('lets a device have eight connections and frees the place of one that closed', async () => {
  const clients = await Promise.all(
    Array.from({ length: LIMITS.connectionsPerDevice }, () => TestClient.connect(edge.socketUrl, token, { device })),
  );
  const ninth = await opened();
  const { result } = await ninth.request('connect.init', device.initPayload());
  ninth.send(request('connect.proof', { connection_id: result.connection_id, proof: device.proof(result) }));
  expect(await ninth.closed).toMatchObject({ code: CloseCode.Policy });
  await clients.pop()?.close();
  const again = await TestClient.connect(edge.socketUrl, token, { device });
  await Promise.all([...clients, again].map((client) => client.close()));
});

it('ends a session with 4004 when its token expires or is revoked', async () => {
  const patient = await startTestEdge({ pingIntervalMs: 50 });
  try {
    const expiring = await patient.issue({ expiresAt: Date.now() + 700 });
    const idle = await TestClient.connect(patient.socketUrl, expiring);
    expect(await idle.closed).toMatchObject({ code: CloseCode.SessionExpired });
  } finally {
    await patient.stop();
  }
});
