import { randomBytes } from 'node:crypto';
import { signHttpProofAs, startTestEdge, TestDevice, openSocket, type TestEdge } from '../testing';

const ORIGIN = 'https://console.example';

let edge: TestEdge;
beforeAll(async () => {
  edge = await startTestEdge({ allowedOrigins: [ORIGIN] });
});
afterAll(() => edge.stop());

const call = (method: string, path: string, headers: Record<string, string>) =>
  fetch(`${edge.httpUrl}${path}`, { method, headers });

describe('a session', () => {
  const begin = async (token: string, origin = ORIGIN) =>
    call('POST', '/v1/session', { authorization: `Bearer ${token}`, origin });

  async function session(): Promise<{ cookie: string; csrf: string; token: string }> {
    const token = await edge.issue();
    const answer = await begin(token);
    const [cookie = ''] = answer.headers.getSetCookie();
    expect(cookie).toMatch(/^tyrum_token=[^;]+; .*HttpOnly; Secure; SameSite=Strict$/);
    const { csrf_token } = (await answer.json()) as { csrf_token: string };
    return { cookie: cookie.split(';')[0] as string, csrf: csrf_token, token };
  }

  it('begins for the pages of allowed origins only, and never for a device-bound token', async () => {
    expect((await begin(await edge.issue(), 'https://evil.example')).status).toBe(403);
    expect((await begin('x')).status).toBe(401);
    expect((await begin(await edge.issue({ deviceId: 'dev_x' }))).status).toBe(403);
  });

  it('reads with the cookie from its own pages only', async () => {
    const { cookie } = await session();
    const statusOf = async (headers: Record<string, string>) =>
      (await call('GET', '/v1/turns', { cookie, ...headers })).status;
    expect(await statusOf({ origin: ORIGIN })).toBe(200);
    expect(await statusOf({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    // A cookie that was stolen comes from nowhere, or from elsewhere.
    expect(await statusOf({})).toBe(403);
    expect(await statusOf({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await statusOf({ origin: 'https://evil.example' })).toBe(403);
    expect(await statusOf({ origin: `${ORIGIN}.evil.example` })).toBe(403);
    expect(await statusOf({ origin: 'null' })).toBe(403);
  });

  it('changes something with the cookie only with the CSRF token as well', async () => {
    const { cookie, csrf, token } = await session();
    const change = async (headers: Record<string, string>) =>
      (await call('POST', '/v1/conversations', { cookie, origin: ORIGIN, ...headers })).status;
    expect(await change({})).toBe(403);
    expect(await change({ 'x-csrf-token': 'x' })).toBe(403);
    expect(await change({ 'x-csrf-token': (await session()).csrf })).toBe(403);
    expect(await change({ 'x-csrf-token': csrf, origin: 'https://evil.example' })).toBe(403);
    expect(await change({ 'x-csrf-token': csrf, 'sec-fetch-site': 'same-origin', origin: '' })).toBe(403);
    expect(await change({ 'x-csrf-token': csrf })).toBe(201);
    // A header that carries the token itself needs neither.
    expect((await call('POST', '/v1/conversations', { authorization: `Bearer ${token}` })).status).toBe(201);
    expect((await call('GET', '/v1/session', { cookie, origin: ORIGIN })).status).toBe(200);
    const ended = await call('DELETE', '/v1/session', { cookie, origin: ORIGIN, 'x-csrf-token': csrf });
    expect([ended.status, ended.headers.getSetCookie()[0]]).toEqual([204, expect.stringMatching(/^tyrum_token=;/)]);
  });

  it('opens the WebSocket for its own pages', async () => {
    const { cookie } = await session();
    const own = openSocket(edge.socketUrl, undefined, { headers: { cookie, origin: ORIGIN } });
    await own.opened();
    await own.close();
    const foreign = openSocket(edge.socketUrl, undefined, { headers: { cookie, origin: 'https://evil.example' } });
    expect(await foreign.refused()).toBe(403);
  });
});

describe('a device-bound token over HTTP', () => {
  const device = new TestDevice();
  const path = '/v1/turns?limit=1';
  const nonce = () => randomBytes(16).toString('base64url');

  async function statusOf(token: string, proof: string | undefined, at = path): Promise<number> {
    const headers = { authorization: `Bearer ${token}`, ...(proof ? { 'tyrum-device-proof': proof } : {}) };
    return (await call('GET', at, headers)).status;
  }

  it('works with a proof for exactly this request, once', async () => {
    const token = await edge.issue({ deviceId: device.deviceId });
    const other = await edge.issue({ deviceId: device.deviceId });
    const facts = {
      method: 'GET',
      path,
      tokenId: token.split('.')[2] as string,
      issuedAtMs: Date.now(),
      nonce: nonce(),
    };
    const proof = signHttpProofAs(device, facts);
    expect(await statusOf(token, undefined)).toBe(403);
    expect(await statusOf(token, proof)).toBe(200);
    // Replayed, for another path, for another token, by another device, from another time.
    expect(await statusOf(token, proof)).toBe(403);
    const fresh = { ...facts, nonce: nonce() };
    expect(await statusOf(token, signHttpProofAs(device, fresh), '/v1/turns?limit=2')).toBe(403);
    expect(await statusOf(other, signHttpProofAs(device, fresh))).toBe(403);
    expect(await statusOf(token, signHttpProofAs(new TestDevice(), fresh))).toBe(403);
    expect(await statusOf(token, signHttpProofAs(device, { ...fresh, method: 'POST' }))).toBe(403);
    for (const late of [-120_000, 120_000]) {
      expect(await statusOf(token, signHttpProofAs(device, { ...fresh, issuedAtMs: Date.now() + late }))).toBe(403);
    }
    expect(await statusOf(token, signHttpProofAs(device, fresh))).toBe(200);
  });

  it('is not replayed at another edge either', async () => {
    const token = await edge.issue({ deviceId: device.deviceId });
    const facts = {
      method: 'GET',
      path,
      tokenId: token.split('.')[2] as string,
      issuedAtMs: Date.now(),
      nonce: nonce(),
    };
    const proof = signHttpProofAs(device, facts);
    expect(await statusOf(token, proof)).toBe(200);
    const second = await startTestEdge({ database: { url: edge.databaseUrl } });
    try {
      const headers = { authorization: `Bearer ${token}`, 'tyrum-device-proof': proof };
      expect((await fetch(`${second.httpUrl}${path}`, { headers })).status).toBe(403);
    } finally {
      await second.stop();
    }
  });
});
