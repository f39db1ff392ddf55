import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { EventStreamClient, startTestEdge, TestClient, type TestEdge } from '../testing';

interface Seen {
  readonly tenant: { readonly tenant_id: string };
  readonly admin: { readonly token: string };
  readonly tenants: readonly { readonly tenant_id: string; readonly slug: string }[];
}

describe.each(['sqlite', 'postgres'] as const)('tenants on %s', (database) => {
  let edge: TestEdge;
  let operator: string;
  beforeAll(async () => {
    edge = await startTestEdge({ database });
    operator = await edge.issue();
  });
  afterAll(() => edge.stop());

  const call = (method: string, path: string, body?: object, token = operator, key?: string) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const create = async (slug: string, more: object = {}): Promise<Seen> =>
    (await (await call('POST', '/v1/tenants', { slug, ...more })).json()) as Seen;

  it('are created once under a key, with an admin who acts in there only', async () => {
    const copies = await Promise.all(
      Array.from({ length: 5 }, () => call('POST', '/v1/tenants', { slug: 'acme' }, operator, 'k')),
    );
    for (const { status } of copies) expect([201, 409]).toContain(status);
    const made = copies.filter(({ status }) => status === 201);
    const [first, ...others] = (await Promise.all(made.map((copy) => copy.json()))) as Seen[];
    for (const other of others) expect(other).toEqual(first);
    const admin = first?.admin.token as string;
    expect((await call('POST', '/v1/tenants', { slug: 'acme' })).status).toBe(409);
    expect((await call('POST', '/v1/tenants', { slug: 'No Slug' })).status).toBe(400);
    const { tenants } = (await (await call('GET', '/v1/tenants')).json()) as Seen;
    expect(tenants.map(({ slug }) => slug)).toEqual(expect.arrayContaining(['default', 'acme']));

    expect((await call('GET', '/v1/turns', undefined, admin)).status).toBe(200);
    // Its admin does not even learn that there are others.
    expect((await call('GET', '/v1/tenants', undefined, admin)).status).toBe(403);
    expect((await call('POST', '/v1/tenants', { slug: 'mine' }, admin)).status).toBe(403);
    for (const id of [DEFAULT_TENANT_ID, first?.tenant.tenant_id]) {
      expect((await call('GET', `/v1/tenants/${id}`, undefined, admin)).status).toBe(404);
      expect((await call('PATCH', `/v1/tenants/${id}`, { max_requests: 9 }, admin)).status).toBe(404);
    }
  });

  it('that are disabled lose their connections and their tokens, and get them back', async () => {
    const { tenant, admin } = await create('briefly');
    const at = `/v1/tenants/${tenant.tenant_id}`;
    const client = await TestClient.connect(edge.socketUrl, admin.token);
    expect((await call('PATCH', at, { disabled: true })).status).toBe(200);
    expect((await client.closed).code).toBe(4004);
    expect((await call('GET', '/v1/turns', undefined, admin.token)).status).toBe(401);
    expect((await call('PATCH', `/v1/tenants/${DEFAULT_TENANT_ID}`, { disabled: true })).status).toBe(409);
    expect((await call('PATCH', at, { disabled: false })).status).toBe(200);
    // Somebody who is let in again is let in as soon as the cache of a second has run out.
    const again = await TestClient.connect(edge.socketUrl, await edge.issue({ tenantId: tenant.tenant_id }));
    await again.close();
  });

  it('lose their connections at every edge within two seconds of being disabled', async () => {
    const other = await startTestEdge({ database: { url: edge.databaseUrl } });
    try {
      const { tenant, admin } = await create('everywhere');
      const events = await EventStreamClient.open(other.httpUrl, admin.token);
      const clients = await Promise.all([edge, other].map((at) => TestClient.connect(at.socketUrl, admin.token)));
      const woken: string[] = [];
      for (const topic of ['work', 'timers'] as const) edge.backplane.subscribe(topic, () => woken.push(topic));
      const at = `/v1/tenants/${tenant.tenant_id}`;
      expect((await call('PATCH', at, { disabled: true })).status).toBe(200);
      const disabledAt = performance.now();
      await Promise.all([...clients.map(({ closed }) => closed), events.closed]);
      // Two seconds are the promise; the rest is for a loaded machine.
      expect(performance.now() - disabledAt).toBeLessThan(4_000);
      expect(woken).toEqual([]);
      await call('PATCH', at, { disabled: false });
      expect(woken).toEqual(['work', 'timers']);
    } finally {
      await other.stop();
    }
  });

  it('have quotas, which 0 lifts', async () => {
    const { tenant } = await create('bounded', { max_connections: 1, max_requests: 500 });
    const at = `/v1/tenants/${tenant.tenant_id}`;
    expect(await (await call('GET', at)).json()).toMatchObject({ max_connections: 1, max_requests: 500 });
    expect(await (await call('PATCH', at, { max_requests: 0 })).json()).toMatchObject({
      max_connections: 1,
      max_requests: null,
    });
    expect((await call('PATCH', at, { max_requests: -1 })).status).toBe(400);
  });
});
