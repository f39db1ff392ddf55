import { randomUUID } from 'node:crypto';
import { Leases } from '@tyrum/leases';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { TurnStore } from '@tyrum/statestore/turns';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

type Item = Readonly<Record<string, unknown>>;
type Answer = Readonly<Record<string, readonly Item[]>> & { readonly next_cursor?: string };

/** Lists that operators look through: where they are, what holds their items, and what names one of them. */
const LISTS = [
  ['/v1/tokens', 'tokens', 'token_id'],
  ['/v1/policy-overrides', 'overrides', 'policy_override_id'],
  ['/v1/pairings', 'pairings', 'pairing_id'],
  ['/v1/pairings?status=approved', 'pairings', 'pairing_id'],
  ['/v1/nodes', 'nodes', 'pairing_id'],
  ['/v1/presence', 'entries', 'instance_id'],
  ['/v1/secrets', 'secrets', 'key'],
  ['/v1/leases', 'leases', 'name'],
  ['/v1/leases?kind=conversation', 'leases', 'name'],
  ['/v1/leases?kind=shard', 'leases', 'name'],
  ['/v1/leases/shard/handed-on/history', 'history', 'reason token'],
] as const;
const AT_LEAST = 5;
const TTL_MS = 600_000;

describe.each(['sqlite', 'postgres'] as const)('a list on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  const nodes: TestClient[] = [];

  beforeAll(async () => {
    edge = await startTestEdge({ database, env: { TYRUM_SECRET_KEYS: 'A'.repeat(43) } });
    token = await edge.issue();
    for (let i = 0; i < AT_LEAST; i += 1) await one();
    await eventually(async () => expect((await page('/v1/presence')).entries).toHaveLength(AT_LEAST));
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await edge.stop();
  });

  const fetched = (path: string, by = token) =>
    fetch(`${edge.httpUrl}${path}`, { headers: { authorization: `Bearer ${by}` } });
  const page = async (path: string): Promise<Answer> => (await (await fetched(path)).json()) as Answer;
  const withQuery = (path: string, query: string): string => `${path}${path.includes('?') ? '&' : '?'}${query}`;

  const post = (path: string, body: object) =>
    fetch(`${edge.httpUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  /** One more of everything: a token, a secret, an override, leases of both sorts, and a node that is approved and there. */
  async function one(): Promise<void> {
    const leases = new Leases(edge.store);
    await leases.acquire({ kind: 'shard', name: randomUUID() }, 'somebody', TTL_MS);
    const handedOn = { kind: 'shard', name: 'handed-on' };
    const held = await leases.acquire(handedOn, 'somebody', TTL_MS);
    if (held) await leases.release(held);
    const steps = [{ type: 'CLI', args: { cmd: 'true' } }];
    const started = await post('/v1/workflows', { conversation_key: `agent:default:dm:${randomUUID()}`, steps });
    expect(started.status).toBe(202);
    await new TurnStore(edge.store).claim('somebody', TTL_MS, 10);
    expect((await post('/v1/secrets', { key: randomUUID(), value: 'a-value-of-it' })).status).toBe(201);
    const device = new TestDevice();
    const options = { device, role: 'node', capabilities: [{ id: 'tyrum.fs.read', version: '1.0.0' }] } as const;
    nodes.push(await TestClient.connect(edge.socketUrl, await edge.issue({ role: 'node' }), options));
    const asked = await eventually(async () => {
      const { pairings = [] } = await page('/v1/pairings?status=awaiting_human');
      expect(pairings[0]).toBeDefined();
      return pairings[0]?.['pairing_id'] as number;
    });
    const verdict = { trust_level: 'local', capability_allowlist: [] };
    expect((await post(`/v1/pairings/${asked}/approve`, verdict)).status).toBe(200);
    const made = `insert into policy_override (policy_override_id, tenant_id, tool_id, pattern, status, created_by, created_at)
      values ('${randomUUID()}', '${DEFAULT_TENANT_ID}', 'CLI', 'x', 'active', 'test', 1700000000000)`;
    await edge.store.execute({ name: 'made', postgres: made, sqlite: made });
  }

  it.each(LISTS)('%s comes whole by pages of two, while more comes', async (path, items, id) => {
    const ids = ({ [items]: found = [] }: Answer) =>
      found.map((item) =>
        id
          .split(' ')
          .map((field) => item[field])
          .join(' '),
      );
    const before = ids(await page(path));
    expect(before.length).toBeGreaterThanOrEqual(AT_LEAST);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const answer = await page(withQuery(path, `limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`));
      const part = ids(answer);
      expect(part.length).toBeLessThanOrEqual(2);
      seen.push(...part);
      if (cursor === undefined) await one();
      cursor = answer.next_cursor;
    } while (cursor !== undefined);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(before));
    // Those of before are in the order they had.
    expect(seen.filter((each) => before.includes(each))).toEqual(before);
  });

  it.each(LISTS)('%s refuses what is no cursor of it, and names the rule', async (path) => {
    const foreign = Buffer.from('["x\\u0000",1]').toString('base64url');
    for (const query of [`cursor=x`, `cursor=${foreign}`, 'limit=0', 'limit=1001', 'limit=many']) {
      const answer = await fetched(withQuery(path, query));
      expect(answer.status).toBe(400);
      const { errors } = (await answer.json()) as { errors: { field: string }[] };
      expect(errors.map(({ field }) => field)).toEqual([`query.${query.split('=')[0]}`]);
    }
  });

  it('a turn’s artifacts come newest first by pages, each oldest first', async () => {
    const { workflow_run_id: turn } = (await (
      await post('/v1/workflows', {
        conversation_key: 'agent:default:main',
        steps: [{ type: 'CLI', args: { cmd: 'true' } }],
      })
    ).json()) as { workflow_run_id: string };
    const upload = async (): Promise<string> => {
      const query = new URLSearchParams({ filename: 'a.txt', turn_id: turn });
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/plain' };
      const answer = await fetch(`${edge.httpUrl}/v1/artifacts?${query}`, { method: 'POST', headers, body: 'x' });
      return ((await answer.json()) as { artifact_id: string }).artifact_id;
    };
    for (let i = 0; i < AT_LEAST; i += 1) await upload();
    const path = `/v1/turns/${turn}/artifacts`;
    const ids = ({ artifacts = [] }: Answer) => artifacts.map(({ artifact_id }) => artifact_id);
    const whole = ids(await page(path));
    expect(whole).toHaveLength(AT_LEAST);
    const pages: unknown[][] = [];
    let cursor: string | undefined;
    do {
      const answer = await page(`${path}?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      pages.push(ids(answer));
      if (cursor === undefined) await upload();
      cursor = answer.next_cursor;
    } while (cursor !== undefined);
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(pages.reverse().flat()).toEqual(whole);
    expect((await fetched(`${path}?cursor=x`)).status).toBe(400);
  });

  // Those of the deployment are no tenant's to ask for.
  const OF_TENANTS = LISTS.filter(([path]) => !path.includes('shard'));

  it.each(OF_TENANTS)('%s shows another tenant nothing under a cursor of ours', async (path, items) => {
    const { next_cursor } = await page(withQuery(path, 'limit=1'));
    const stranger = await edge.issue({ tenantId: await edge.newTenant(), scopes: [] });
    const answer = await fetched(withQuery(path, `cursor=${next_cursor}`), stranger);
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as Answer)[items]).toEqual([]);
  });
});
