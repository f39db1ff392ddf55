import { ScriptedExecutor, TestEngine } from '@tyrum/execution/testing';
import type { Action } from '@tyrum/protocol';
import { startTestEdge, TestClient, type TestEdge } from './testing';

const CONVERSATION = 'agent:default:main';
const confirm = (prompt: string): Action => ({ type: 'Confirm', args: { prompt } }) as Action;

describe.each(['sqlite', 'postgres'] as const)('approvals on %s', (database) => {
  let edge: TestEdge;
  let engine: TestEngine;
  let client: TestClient;
  let admin: string;

  beforeEach(async () => {
    edge = await startTestEdge({ database });
    engine = new TestEngine(edge.store, edge.backplane);
    engine.process(new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: {} })));
    admin = await edge.issue();
    client = await TestClient.connect(edge.socketUrl, admin);
  });
  afterEach(async () => {
    await engine.stop();
    await edge.stop();
  });

  const start = async (...prompts: string[]) => {
    const payload = { conversation_key: CONVERSATION, steps: prompts.map(confirm) };
    return (await client.request('workflow.start', payload)).result.workflow_run_id;
  };
  const blocked = async (turnId: string, nth = 0) => {
    const seen = (): number => client.events().filter(({ type }) => type === 'turn.blocked').length;
    await client.event('turn.blocked', (e) => e.payload.turn_id === turnId && seen() > nth);
    const all = client.events().filter(({ type }) => type === 'turn.blocked');
    return all[nth]?.payload.approval_id ?? '';
  };
  const call = (method: string, path: string, body?: object, token = admin) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const json = async (answer: Response) => (await answer.json()) as Record<string, unknown>;

  it('are asked for with events, listed, and given over the WebSocket', async () => {
    const turnId = await start('Go?');
    const approval_id = await blocked(turnId);
    const asked = await client.event('approval.updated', (e) => e.payload.approval.approval_id === approval_id);
    expect(asked.scope).toEqual({ kind: 'conversation', conversation_key: CONVERSATION });
    const list = await client.request('approval.list', { status: 'awaiting_human', turn_id: turnId });
    expect(list.result.approvals).toMatchObject([{ approval_id, prompt: 'Go?', kind: 'workflow_step' }]);
    const resume = await client.request('workflow.resume', { token: approval_id });
    expect(resume.error?.code).toBe('conflict');
    const given = await client.request('approval.resolve', { approval_id, decision: 'approved' });
    expect(given.result.approval).toMatchObject({ status: 'approved' });
    await client.event('turn.completed', (e) => e.payload.turn_id === turnId);
    await client.event('approval.updated', (e) => e.payload.approval.status === 'approved');
    const resumed = await client.request('workflow.resume', { token: approval_id });
    expect(resumed.result.workflow_run_id).toBe(turnId);
    expect((await client.request('workflow.resume', { token: 'nobody waits' })).error?.code).toBe('not_found');
  });

  it('are given and denied over HTTP, once', async () => {
    const turnId = await start('One?', 'Two?');
    const first = await blocked(turnId);
    const path = `/v1/approvals/${first}/resolve`;
    const answers = await Promise.all([1, 2, 3].map(() => call('POST', path, { decision: 'approved' })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await call('POST', path, { decision: 'denied' })).status).toBe(409);
    const second = await blocked(turnId, 1);
    expect(await json(await call('GET', `/v1/approvals/${second}`))).toMatchObject({ approval: { prompt: 'Two?' } });
    await call('POST', `/v1/approvals/${second}/resolve`, { decision: 'denied', reason: 'no' });
    await client.event('turn.failed', (e) => e.payload.turn_id === turnId);
    const pages: unknown[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page = await json(await call('GET', `/v1/approvals?limit=1${cursor && `&cursor=${cursor}`}`));
      pages.push(...(page['approvals'] as unknown[]));
      cursor = page['next_cursor'] as string | undefined;
    }
    expect(pages).toMatchObject([
      { approval_id: second, status: 'denied' },
      { approval_id: first, status: 'approved' },
    ]);
    expect((await call('GET', '/v1/approvals?cursor=x')).status).toBe(400);
    expect((await call('POST', path, { decision: 'maybe' })).status).toBe(400);
  });

  it('are not found in another tenant, and need their scope', async () => {
    const approval_id = await blocked(await start('Go?'));
    const foreign = await edge.issue({ tenantId: await edge.newTenant() });
    const path = `/v1/approvals/${approval_id}`;
    expect((await call('POST', `${path}/resolve`, { decision: 'approved' }, foreign)).status).toBe(404);
    expect((await call('GET', path, undefined, foreign)).status).toBe(404);
    expect(await json(await call('GET', '/v1/approvals', undefined, foreign))).toEqual({ approvals: [] });
    const writer = await edge.issue({ role: 'client', scopes: ['operator.read', 'operator.write'] });
    expect((await call('POST', `${path}/resolve`, { decision: 'approved' }, writer)).status).toBe(403);
    expect((await call('POST', '/v1/workflows/resume', { token: approval_id }, foreign)).status).toBe(404);
  });
});
