import { openSocket, startTestEdge, type TestEdge, type TestEdgeOptions } from '../testing';

const edges: TestEdge[] = [];
async function start(options: TestEdgeOptions): Promise<TestEdge> {
  const edge = await startTestEdge(options);
  edges.push(edge);
  return edge;
}
afterEach(async () => {
  for (const edge of edges.splice(0)) await edge.stop();
});

const BEHIND = { TYRUM_TRUSTED_PROXIES: '127.0.0.1' };
const from = (address: string) => ({ 'x-forwarded-for': address });

async function statuses(edge: TestEdge, addresses: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const address of addresses) {
    const answer = await fetch(`${edge.httpUrl}/v1/turns`, { headers: from(address) });
    found.push(answer.status);
  }
  return found;
}

/** Addresses a client could make up, more of them than any limit here. */
const madeUp = Array.from({ length: 24 }, (_, i) => `198.51.100.${i + 1}`);

describe.each(['http', 'websocket'] as const)('over %s', (door) => {
  const ask = async (edge: TestEdge, addresses: readonly string[]): Promise<number[]> => {
    if (door === 'http') return statuses(edge, addresses);
    const found: number[] = [];
    for (const address of addresses) {
      found.push(await openSocket(edge.socketUrl, undefined, { headers: from(address) }).refused());
    }
    return found;
  };

  it('each client behind a trusted proxy has a limit of its own', async () => {
    const edge = await start({ env: BEHIND, limits: { perAddress: 4 } });
    expect(await ask(edge, madeUp)).not.toContain(429);
    expect(await ask(edge, Array<string>(12).fill('203.0.113.5'))).toContain(429);
    // What a client claims itself stands further left, and changes nothing.
    expect(
      await ask(
        edge,
        madeUp.map((address) => `${address}, 203.0.113.6`),
      ),
    ).toContain(429);
  });

  it('what anybody else claims is ignored', async () => {
    for (const trusted of ['', '10.0.0.0/8']) {
      const edge = await start({ env: { TYRUM_TRUSTED_PROXIES: trusted }, limits: { perAddress: 4 } });
      expect(await ask(edge, madeUp)).toContain(429);
    }
  });
});

it('counts the open WebSockets of the client and not of its proxy', async () => {
  const edge = await start({ env: BEHIND, maxPerAddress: 1 });
  const token = await edge.issue();
  const one = openSocket(edge.socketUrl, token, { headers: from('198.51.100.1') });
  await one.opened();
  expect(await openSocket(edge.socketUrl, token, { headers: from('198.51.100.1') }).refused()).toBe(429);
  const other = openSocket(edge.socketUrl, token, { headers: from('198.51.100.2') });
  await other.opened();
  await Promise.all([one.close(), other.close()]);
});
