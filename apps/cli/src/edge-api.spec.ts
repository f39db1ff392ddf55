import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { EdgeApi } from './edge-api';

describe('lists', () => {
  const asked: URL[] = [];
  /** Lists that hold the numbers from 0 to 449, of which a page is as long as asked for. */
  const server = createServer(({ url = '' }, response) => {
    const at = new URL(url, 'http://edge');
    asked.push(at);
    const name = at.pathname.split('/').at(-1) as string;
    const from = Number(at.searchParams.get('cursor') ?? 0);
    const to = Math.min(450, from + Number(at.searchParams.get('limit')));
    const items = Array.from({ length: to - from }, (_, i) => from + i);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ [name]: items, ...(to < 450 ? { next_cursor: String(to) } : {}) }));
  });
  let api: EdgeApi;

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    api = new EdgeApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'token');
  });
  beforeEach(() => void asked.splice(0));
  afterAll(() => server.close());

  it.each([
    ['tokens', () => api.tokens()],
    ['pairings', () => api.pairings()],
    ['approvals', () => api.approvals({ status: 'approved' })],
  ] as const)('%s come to the end', async (name, list) => {
    expect(await list()).toEqual(Array.from({ length: 450 }, (_, i) => i));
    expect(asked.map(({ pathname }) => pathname)).toEqual([`/v1/${name}`, `/v1/${name}`, `/v1/${name}`]);
    for (const { searchParams } of asked) {
      expect(searchParams.get('status')).toBe(name === 'approvals' ? 'approved' : null);
    }
  });

  it('turns come as many as were wanted', async () => {
    expect(await api.turns({ limit: 250 })).toEqual(Array.from({ length: 250 }, (_, i) => i));
    expect(asked.map(({ searchParams }) => searchParams.get('limit'))).toEqual(['200', '50']);
  });
});
