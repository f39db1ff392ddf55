import { randomUUID } from 'node:crypto';
import { Leases } from '@tyrum/leases';
import { DEFAULT_TENANT_ID, type LeaseHistoryResult, type LeaseListResult } from '@tyrum/protocol';
import { TurnStore } from '@tyrum/statestore/turns';
import { startTestEdge, type TestEdge } from '../testing';

const TTL_MS = 600_000;
const KEY = 'agent:default:main';

const expire = 'update conversation_queue set due_at = 0';

describe.each(['sqlite', 'postgres'] as const)('leases over HTTP on %s', (database) => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await startTestEdge({ database });
  });
  afterAll(() => edge.stop());

  const get = async <T>(path: string, token: string): Promise<{ status: number; body: T }> => {
    const answer = await fetch(`${edge.httpUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: (await answer.json()) as T };
  };
  const list = (token: string, query = '') => get<LeaseListResult>(`/v1/leases${query}`, token);
  const history = (token: string, kind: string, name: string) =>
    get<LeaseHistoryResult>(`/v1/leases/${kind}/${encodeURIComponent(name)}/history`, token);

  it('shows a tenant its conversations, an administrator the rest too, and nobody another tenant’s', async () => {
    const tokens = {
      admin: await edge.issue(),
      reader: await edge.issue({ role: 'client', scopes: ['operator.read'] }),
      nobody: await edge.issue({ role: 'client', scopes: ['operator.write'] }),
      other: await edge.issue({ tenantId: await edge.newTenant() }),
    };
    const started = await fetch(`${edge.httpUrl}/v1/workflows`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokens.admin}`, 'content-type': 'application/json' },
      body: JSON.stringify({ conversation_key: KEY, steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }] }),
    });
    expect(started.status).toBe(202);
    const turns = new TurnStore(edge.store);
    const before = Date.now();
    await turns.claim('silent', TTL_MS, 1);
    await edge.store.execute({ name: 'expire', postgres: expire, sqlite: expire });
    await turns.claim('heir', TTL_MS, 1);
    const leases = new Leases(edge.store);
    await leases.noteLost([{ kind: 'conversation', name: `${DEFAULT_TENANT_ID}/${KEY}`, token: 1 }], 'silent');
    const shard = { kind: 'shard', name: randomUUID() };
    await leases.acquire(shard, 'scheduler', TTL_MS);

    const conversation = { kind: 'conversation', name: KEY, owner: 'heir', token: '1.2', held: true, takeovers: 1 };
    const own = await list(tokens.reader);
    expect(own.body.leases).toMatchObject([conversation]);
    expect(Date.parse(own.body.leases[0]?.since ?? '')).toBeGreaterThanOrEqual(before - 1_000);
    const all = (await list(tokens.admin)).body.leases;
    expect(all).toMatchObject([conversation, { ...shard, owner: 'scheduler', token: '1.1', held: true }]);
    expect((await list(tokens.admin, '?kind=shard')).body.leases).toEqual([all[1]]);
    expect((await list(tokens.admin, '?limit=1')).body.leases).toHaveLength(1);
    expect((await list(tokens.reader, '?kind=shard')).status).toBe(403);
    expect((await list(tokens.nobody)).status).toBe(403);
    expect((await list(tokens.admin, '?limit=501')).status).toBe(400);
    expect((await list(tokens.other)).body.leases).toEqual([]);
    expect((await list(tokens.other, '?kind=shard')).status).toBe(403);

    expect((await history(tokens.reader, 'conversation', KEY)).body.history).toMatchObject([
      { reason: 'lost', owner: 'silent', token: '1.1', taken_from: null },
      { reason: 'taken_over', owner: 'heir', token: '1.2', taken_from: 'silent' },
    ]);
    expect((await history(tokens.other, 'conversation', KEY)).status).toBe(404);
    expect((await history(tokens.other, 'conversation', `${DEFAULT_TENANT_ID}/${KEY}`)).status).toBe(400);
    expect((await history(tokens.admin, shard.kind, shard.name)).body.history).toMatchObject([
      { reason: 'acquired', owner: 'scheduler', token: '1.1', taken_from: null },
    ]);
    for (const token of [tokens.reader, tokens.other]) {
      expect((await history(token, shard.kind, shard.name)).status).toBe(403);
    }
  });
});
