import { ScriptedExecutor, TestEngine } from '@tyrum/execution/testing';
import { DEFAULT_TENANT_ID, type Cluster } from '@tyrum/protocol';
import { portable } from '@tyrum/statestore';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, type TestEdge } from '../testing';

const steps = [{ type: 'CLI', args: { cmd: 'echo', effect: 'read' } }];

describe.each(['sqlite', 'postgres'] as const)('the cluster on %s', (database) => {
  let edge: TestEdge;
  let admin: string;
  let stranger: string;
  let other: string;

  beforeEach(async () => {
    edge = await startTestEdge({ database, instanceId: 'edge-1', env: { TYRUM_LEASE_TTL_MS: '2000' } });
    admin = await edge.issue();
    other = await edge.newTenant();
    stranger = await edge.issue({ tenantId: other });
  });
  afterEach(() => edge.stop());

  const call = async (method: string, path: string, token: string, body?: object) => {
    const answer = await fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (answer.status >= 400) throw new Error(`${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const cluster = (token = admin) => call('GET', '/v1/cluster', token) as Promise<Cluster>;
  const start = (key: string, token = admin) =>
    call('POST', '/v1/workflows', token, { conversation_key: key, steps }) as Promise<{ workflow_run_id: string }>;
  const run = (text: string) => edge.store.execute(portable('test', text));

  it('tells whoever runs the installation of its processes, edges and database', async () => {
    const client = await TestClient.connect(edge.socketUrl, admin);
    const shown = await eventually(async () => {
      const found = await cluster();
      expect(found.deployment?.edges[0]?.clients).toBe(1);
      expect(found.deployment?.instances[0]?.state).toBe('ready');
      return found.deployment;
    });
    expect(shown?.instances).toMatchObject([
      { instance_id: 'edge-1', app: 'edge', roles: ['edge'], version: '0.1.0', backplane: { healthy: true } },
    ]);
    expect(shown?.edges).toMatchObject([
      { edge: 'edge-1', alive: true, nodes: 0, rows_behind: expect.any(Number) as number },
    ]);
    const { dialect, schema_revision, known_revision, tables } = shown?.database ?? {};
    expect([dialect, schema_revision]).toEqual([database, known_revision]);
    if (database === 'postgres') expect(tables?.length).toBeGreaterThan(0);
    await client.close();
  });

  it('counts what waits and runs, by tenant and by agent, with what each gets', async () => {
    await call('PUT', '/v1/claim-shares', admin, { weight: 3, max_running: 7 });
    await call('PUT', '/v1/claim-shares', admin, { agent_key: 'a', max_running: 1 });
    for (const key of ['agent:a:dm:1', 'agent:a:dm:2', 'agent:b:main']) await start(key);
    await start('agent:a:dm:1');
    await start('agent:theirs:main', stranger);
    await run(`update conversation_queue set due_at = due_at - 60000 where conversation_key = 'agent:b:main'`);
    const { tenant, deployment } = await cluster();
    expect(tenant.queues).toEqual([
      { agent_key: 'a', weight: 1, max_running: 1, ready: 2, later: 0, running: 0, queued_turns: 3 },
      { agent_key: 'b', weight: 1, max_running: null, ready: 1, later: 0, running: 0, queued_turns: 1 },
    ]);
    expect(tenant.oldest_ready?.conversation_key).toBe('agent:b:main');
    expect(tenant.oldest_ready?.waiting_ms).toBeGreaterThan(59_000);
    expect(deployment?.queues).toEqual([
      { tenant_id: DEFAULT_TENANT_ID, weight: 3, max_running: 7, ready: 3, later: 0, running: 0, queued_turns: 4 },
      { tenant_id: other, weight: 1, max_running: null, ready: 1, later: 0, running: 0, queued_turns: 1 },
    ]);
    expect(deployment?.oldest_ready?.tenant_id).toBe(DEFAULT_TENANT_ID);
  });

  it('shows a tenant its own and nothing of the deployment or of others', async () => {
    await start('agent:ours:main');
    await start('agent:theirs:main', stranger);
    await run(`insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
      values ('${DEFAULT_TENANT_ID}', '00000000-0000-4000-8000-00000000000a', 'agent:ours:main', 1, '{}', 0)`);
    const takeover = (tenant: string, key: string) =>
      run(`insert into lease_history (kind, name, token, owner, taken_from, reason, at)
        values ('conversation', '${tenant}/${key}', 1, 'w2', 'w1', 'taken_over', ${Date.now()})`);
    await takeover(DEFAULT_TENANT_ID, 'agent:ours:main');
    await takeover(other, 'agent:theirs:main');
    const theirs = await cluster(stranger);
    expect(theirs.deployment).toBeNull();
    expect(theirs.tenant.queues.map(({ agent_key }) => agent_key)).toEqual(['theirs']);
    expect(theirs.tenant.dead_letters).toBe(0);
    expect(theirs.tenant.takeovers).toMatchObject([
      { kind: 'conversation', name: 'agent:theirs:main', reason: 'taken_over', owner: 'w2', taken_from: 'w1' },
    ]);
    expect(JSON.stringify(theirs)).not.toMatch(/ours|edge-1/);
    const ours = await cluster();
    expect([ours.tenant.dead_letters, ours.deployment?.dead_letters]).toEqual([1, 1]);
    expect(ours.deployment?.takeovers.map(({ name }) => name).sort()).toEqual([DEFAULT_TENANT_ID, other].sort());
    expect(JSON.stringify(ours)).not.toContain('theirs');
    const client = await edge.issue({ role: 'client', scopes: ['operator.read'] });
    await expect(cluster(client)).rejects.toThrow('403');
  });

  it('counts what runs', async () => {
    const engine = new TestEngine(edge.store, edge.backplane);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    engine.process(new ScriptedExecutor(() => held.then(() => ({ kind: 'succeeded', result: {} }))));
    await start('agent:a:main');
    await eventually(async () => expect((await cluster()).tenant.queues).toMatchObject([{ running: 1, ready: 0 }]));
    release();
    await eventually(async () => expect((await cluster()).tenant.queues).toEqual([]));
    await engine.stop();
  });
});
