import { storedEvents } from '@tyrum/outbox/testing';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type SeenPairing, type TestEdge } from '../testing';

const SCREENSHOT = { id: 'tyrum.desktop.screenshot', version: '1.0.0' };
const approval = (pairing_id: number) => ({ pairing_id, trust_level: 'local', capability_allowlist: [SCREENSHOT] });

/** A backplane that reaches nobody and does not know it: the worst kind of outage. */
function mute(edge: TestEdge): void {
  Object.assign(edge.backplane, { publish: () => undefined });
}

describe.each(['sqlite', 'postgres'] as const)('pairing on %s', (database) => {
  let edge: TestEdge;
  let operator: TestClient;
  let nodeToken: string;
  let adminToken: string;

  beforeEach(async () => {
    edge = await startTestEdge({ database });
    adminToken = await edge.issue();
    operator = await TestClient.connect(edge.socketUrl, adminToken);
    nodeToken = await edge.issue({ role: 'node' });
  });
  afterEach(() => edge.stop());

  const connect = (device = new TestDevice(), token = nodeToken, url = edge.socketUrl) =>
    TestClient.connect(url, token, { device, role: 'node', capabilities: [SCREENSHOT] });
  const requested = async (device: TestDevice): Promise<SeenPairing> => {
    const event = await operator.event('pairing.updated', (e) => e.payload.pairing.node.node_id === device.deviceId);
    return event.payload.pairing;
  };
  const told = async (node: TestClient, status: string) =>
    (await node.event('pairing.updated', (e) => e.payload.pairing.status === status)).payload;

  it('is asked for by connecting, once however often the device connects', async () => {
    const device = new TestDevice();
    const first = await connect(device);
    const pairing = await requested(device);
    expect(pairing).toMatchObject({ status: 'awaiting_human', node: { capabilities: [SCREENSHOT] } });
    expect(Number.isInteger(pairing.pairing_id)).toBe(true);
    await told(first, 'awaiting_human');
    await first.close();
    await told(await connect(device), 'awaiting_human');
    const list = await get('/v1/pairings');
    expect(list['pairings']).toHaveLength(1);
  });

  const get = async (path: string, token: string = adminToken) => {
    const answer = await fetch(`${edge.httpUrl}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await answer.json()) as Record<string, object[]>;
  };
  const post = async (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${edge.httpUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('gives the approved node a token of its own, once, and nobody else hears of it', async () => {
    const device = new TestDevice();
    const [node, stranger] = [await connect(device), await connect()];
    const { pairing_id } = await requested(device);
    const answer = await operator.request('pairing.approve', approval(pairing_id));
    expect(answer.result.pairing).toMatchObject({ status: 'approved', trust_level: 'local' });
    const { scoped_token: token } = await told(node, 'approved');
    expect(token).toMatch(/^tyrum-token\.v1\./);
    const own = await connect(device, token);
    expect((await told(own, 'approved')).scoped_token).toBeUndefined();
    await told(stranger, 'awaiting_human');
    for (const other of [operator, stranger]) expect(JSON.stringify(other.frames)).not.toContain('scoped_token');
    expect(node.frames.filter((frame) => frame.payload?.scoped_token !== undefined)).toHaveLength(1);
    // It is bound to the device, and stored nowhere.
    await expect(connect(new TestDevice(), token)).rejects.toThrow('4008');
    const secret = token?.split('.').at(-1) ?? '';
    expect(JSON.stringify(await edge.store.read(storedEvents))).not.toContain(secret);
  });

  it('makes another token for a node that has not come with the one it was sent', async () => {
    const device = new TestDevice();
    const first = await connect(device);
    const { pairing_id } = await requested(device);
    await operator.request('pairing.approve', approval(pairing_id));
    const lost = (await told(first, 'approved')).scoped_token ?? '';
    await first.close();
    const again = (await told(await connect(device), 'approved')).scoped_token ?? '';
    expect(again).not.toBe(lost);
    await eventually(async () => expect(await edge.tokens.verify(lost)).toBeUndefined(), { timeoutMs: 10_000 });
    await connect(device, again);
    const late = await connect(device);
    expect((await told(late, 'approved')).scoped_token).toBeUndefined();
  });

  it.each(['denied', 'revoked'])('shows a node that is %s the door until it is approved again', async (status) => {
    const device = new TestDevice();
    const node = await connect(device);
    const { pairing_id } = await requested(device);
    if (status === 'revoked') await operator.request('pairing.approve', approval(pairing_id));
    const verb = status === 'denied' ? 'deny' : 'revoke';
    const answer = await post(`/v1/pairings/${pairing_id}/${verb}`, { reason: 'not ours' });
    expect(await answer.json()).toMatchObject({ pairing: { status, latest_review: { reason: 'not ours' } } });
    expect(await node.closed).toMatchObject({ code: 4001 });
    const again = await connect(device);
    expect(await again.closed).toMatchObject({ code: 4001 });
    await operator.request('pairing.approve', approval(pairing_id));
    await told(await connect(device), 'approved');
  });

  it('ends with its token, also for the node that came with that', async () => {
    const device = new TestDevice();
    const node = await connect(device);
    const { pairing_id } = await requested(device);
    await operator.request('pairing.approve', approval(pairing_id));
    const token = (await told(node, 'approved')).scoped_token ?? '';
    const own = await connect(device, token);
    await told(own, 'approved');
    await operator.request('pairing.revoke', { pairing_id });
    await Promise.all([node.closed, own.closed]);
    await eventually(async () => expect(await edge.tokens.verify(token)).toBeUndefined(), { timeoutMs: 10_000 });
  });

  it('refuses what a status does not allow, and answers a repeated decision as the first', async () => {
    const device = new TestDevice();
    await connect(device);
    const { pairing_id } = await requested(device);
    expect((await operator.request('pairing.revoke', { pairing_id })).error?.code).toBe('conflict');
    const key = { 'idempotency-key': 'k' };
    const { pairing_id: _, ...body } = approval(pairing_id);
    await post(`/v1/pairings/${pairing_id}/approve`, body, key);
    const replayed = await post(`/v1/pairings/${pairing_id}/approve`, body, key);
    expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    expect((await operator.request('pairing.deny', { pairing_id })).error?.code).toBe('conflict');
    expect((await post('/v1/pairings/abc/deny', {})).status).toBe(400);
  });

  it('is nobody’s business in another tenant, nor without the scope', async () => {
    const device = new TestDevice();
    await connect(device);
    const { pairing_id } = await requested(device);
    const foreign = await edge.issue({ tenantId: await edge.newTenant() });
    const other = await TestClient.connect(edge.socketUrl, foreign);
    expect((await other.request('pairing.approve', approval(pairing_id))).error?.code).toBe('not_found');
    expect((await get('/v1/pairings', foreign))['pairings']).toEqual([]);
    const reader = await edge.issue({ role: 'client', scopes: ['operator.read'] });
    const client = await TestClient.connect(edge.socketUrl, reader);
    expect((await client.request('pairing.approve', approval(pairing_id))).error?.code).toBe('forbidden');
  });
});

it('closes a revoked node’s sockets on every edge within 2 s, also when no wake-up travels', async () => {
  const edges = [await startTestEdge({ database: 'postgres' })];
  const [first] = edges as [TestEdge];
  edges.push(await startTestEdge({ database: { url: first.databaseUrl } }));
  try {
    edges.forEach(mute);
    const operator = await TestClient.connect(first.socketUrl, await first.issue());
    const token = await first.issue({ role: 'node' });
    const device = new TestDevice();
    const nodes = await Promise.all(
      edges.map((edge) => TestClient.connect(edge.socketUrl, token, { device, role: 'node' })),
    );
    const [node] = nodes as [TestClient];
    const { payload } = await node.event('pairing.updated');
    const { pairing_id } = payload.pairing;
    await operator.request('pairing.approve', approval(pairing_id));
    await Promise.all(nodes.map((one) => one.event('pairing.updated', (e) => e.payload.pairing.status === 'approved')));
    const revokedAt = performance.now();
    await operator.request('pairing.revoke', { pairing_id });
    const closes = await Promise.all(nodes.map((one) => one.closed));
    expect(closes.map(({ code }) => code)).toEqual([4001, 4001]);
    expect(performance.now() - revokedAt).toBeLessThan(2_000);
  } finally {
    for (const edge of edges.reverse()) await edge.stop();
  }
});
