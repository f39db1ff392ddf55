import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { ROUTES, type RouteSpec } from '@tyrum/protocol';
import { startTestEdge, type TestEdge } from '../testing/test-edge';

const env = { TYRUM_WEBHOOK_KEY: randomBytes(32).toString('base64url') };
/** A cursor as lists make them, but for the text in it. */
const cursor = Buffer.from(JSON.stringify([1, 'a\0b'])).toString('base64url');
const HOSTILE = ['%00', 'a%00b', '%ED%A0%80', '9999999999999999', cursor];

let edge: TestEdge;
let headers: Record<string, string>;
beforeAll(async () => {
  edge = await startTestEdge({ database: 'postgres', env });
  headers = { authorization: `Bearer ${await edge.issue()}`, 'content-type': 'application/json' };
});
afterAll(() => edge.stop());

const queried = Object.entries<RouteSpec>(ROUTES).flatMap(([route, { query }]) => {
  const [method = '', path = ''] = route.split(' ');
  if (!path.startsWith('/v1/') || path === '/v1/events') return [];
  const fields = Object.keys(query?.fields ?? {}).map((field) => `${path.replace(/:[a-z]+/g, randomUUID())}?${field}=`);
  const places = path.includes(':') ? [path] : [];
  return HOSTILE.flatMap((text) => [
    ...places.map((place) => [method, place.replace(/:[a-z]+/g, text)] as const),
    ...fields.map((field) => [method, `${field}${text}`] as const),
  ]);
});

it('is the caller’s mistake wherever it stands in an address, and nothing that fails in the database', async () => {
  const failed: string[] = [];
  for (const [method, url] of queried) {
    const body = method === 'GET' || method === 'DELETE' ? {} : { body: '{}' };
    const response = await fetch(edge.httpUrl + url, { method, headers, ...body });
    await response.arrayBuffer();
    if (response.status >= 500) failed.push(`${method} ${url}: ${response.status}`);
  }
  expect(queried.length).toBeGreaterThan(100);
  expect(failed).toEqual([]);
});

it('is passed on in a webhook’s body', async () => {
  const steps = [{ type: 'CLI', args: { cmd: 'echo', args: ['x'] } }];
  const execution = { kind: 'steps', conversation_key: 'agent:default:hooks:dm:a', steps };
  const wish = JSON.stringify({ label: 'hostile', execution });
  const made = await fetch(`${edge.httpUrl}/v1/webhooks`, { method: 'POST', headers, body: wish });
  const { webhook, secret } = (await made.json()) as { webhook: { path: string }; secret: string };
  const [timestamp, nonce, body] = [String(Math.floor(Date.now() / 1_000)), randomUUID(), 'a\0b'];
  const signature = `sha256=${createHmac('sha256', secret).update(`${timestamp}.${nonce}.${body}`).digest('hex')}`;
  const signed = { 'tyrum-timestamp': timestamp, 'tyrum-nonce': nonce, 'tyrum-signature': signature };
  const called = await fetch(edge.httpUrl + webhook.path, { method: 'POST', headers: signed, body });
  expect(called.status).toBe(202);
});
