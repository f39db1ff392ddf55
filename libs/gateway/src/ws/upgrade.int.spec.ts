import { encodeBase64Url } from '@tyrum/protocol';
import { openSocket, startTestEdge, TestDevice, type TestEdge } from '../testing';

let edge: TestEdge;
let token: string;
beforeAll(async () => {
  edge = await startTestEdge({ allowedOrigins: ['https://console.example'] });
  token = await edge.issue();
});
afterAll(() => edge.stop());

const subprotocol = (text: string) => `tyrum-auth.${encodeBase64Url(Buffer.from(text))}`;
const cookie = (text: string, origin?: string) => ({ cookie: `tyrum_token=${text}`, ...(origin ? { origin } : {}) });

it('takes the token from the header, the subprotocol, or the cookie of an allowed origin, and selects tyrum-v1 alone', async () => {
  const sockets = [
    openSocket(edge.socketUrl, token),
    openSocket(edge.socketUrl, undefined, { protocols: ['tyrum-v1', subprotocol(token)] }),
    openSocket(edge.socketUrl, undefined, { protocols: [subprotocol(token), 'other', 'tyrum-v1'] }),
    openSocket(edge.socketUrl, undefined, { headers: cookie(token, 'https://console.example') }),
  ];
  for (const client of sockets) {
    await client.opened();
    expect(client.socket.protocol).toBe('tyrum-v1');
    expect(client.socket.extensions).toBe('');
    await client.close();
  }
});

it.each([
  ['no token', 401, () => openSocket(edge.socketUrl, undefined)],
  ['a wrong token', 401, () => openSocket(edge.socketUrl, `${token}x`)],
  [
    'a bad header beside a good subprotocol',
    401,
    () => openSocket(edge.socketUrl, 'x', { protocols: ['tyrum-v1', subprotocol(token)] }),
  ],
  [
    'a cookie from a foreign origin',
    403,
    () => openSocket(edge.socketUrl, undefined, { headers: cookie(token, 'https://console.example.evil') }),
  ],
  ['a cookie without an origin', 403, () => openSocket(edge.socketUrl, undefined, { headers: cookie(token) })],
  ['a token in the URL', 400, () => openSocket(`${edge.socketUrl}?token=x`, token)],
  [
    'a token hidden in the URL',
    400,
    () => openSocket(`${edge.socketUrl}?a=${token.replace('tyrum', '%74yrum')}`, token),
  ],
  ['no subprotocol', 400, () => openSocket(edge.socketUrl, token, { protocols: [] })],
  ['another subprotocol', 400, () => openSocket(edge.socketUrl, token, { protocols: ['tyrum-v2'] })],
  ['another path', 404, () => openSocket(edge.socketUrl.replace('/ws', '/socket'), token)],
])('refuses %s with %i before the upgrade', async (_, status, open) => {
  expect(await open().refused()).toBe(status);
});

it('refuses a revoked token within two seconds of its revocation by another process', async () => {
  const other = await startTestEdge({ database: { url: edge.databaseUrl } });
  try {
    const revoked = await edge.issue();
    const first = openSocket(edge.socketUrl, revoked);
    await first.opened();
    const [, , , id = ''] = /^(tyrum-token)\.(v1)\.([0-9a-f-]+)/.exec(revoked) ?? [];
    const { tenantId = '' } = (await other.tokens.recheck(id)) ?? {};
    expect(await other.tokens.revoke(tenantId, id)).toBe(true);
    const deadline = performance.now() + 2_000;
    let status = 101;
    while (status !== 401 && performance.now() < deadline) {
      const client = openSocket(edge.socketUrl, revoked);
      status = await Promise.race([
        client.refused(),
        client
          .opened()
          .then(() => client.close())
          .then(() => 101),
      ]).catch(() => 101);
    }
    expect(status).toBe(401);
    await first.close();
  } finally {
    await other.stop();
  }
});

it('answers 429 after too many failures, and still lets a valid token in', async () => {
  const busy = await startTestEdge();
  try {
    const statuses: number[] = [];
    for (let i = 0; i < 31; i += 1) statuses.push(await openSocket(busy.socketUrl, 'x').refused());
    expect(statuses[29]).toBe(401);
    expect(statuses[30]).toBe(429);
    const client = openSocket(busy.socketUrl, await busy.issue());
    await client.opened();
    await client.close();
  } finally {
    await busy.stop();
  }
});

it('refuses more sockets than it may have with 503', async () => {
  const small = await startTestEdge({ maxSockets: 1 });
  try {
    const admin = await small.issue();
    const first = openSocket(small.socketUrl, admin);
    await first.opened();
    expect(await openSocket(small.socketUrl, admin).refused()).toBe(503);
    await first.close();
  } finally {
    await small.stop();
  }
});

it('survives a peer that goes away in the middle of the upgrade', async () => {
  for (let i = 0; i < 20; i += 1) openSocket(edge.socketUrl, await edge.issue()).socket.terminate();
  const client = openSocket(edge.socketUrl, token);
  await client.opened();
  expect((await client.request('connect.init', new TestDevice().initPayload())).ok).toBe(true);
  await client.close();
});
