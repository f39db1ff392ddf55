import { Module } from '@nestjs/common';
import { DEFAULT_TENANT_ID, REQUESTS, ROUTES, type RequestType, type RouteSpec } from '@tyrum/protocol';
import { REQUEST_EXAMPLES } from '@tyrum/protocol/testing';
import { ScriptedExecutor, TestEngine } from '@tyrum/execution/testing';
import { Schedules } from '@tyrum/scheduling';
import { SchedulingModule } from '@tyrum/scheduling/nest';
import { eventually } from '@tyrum/test-services';
import openapi from './openapi.json';
import { SCHEDULES_PORT } from '../ports';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

/*
 * Whatever a tenant has, every route and every request type is asked for it by another tenant's admin. What can be asked is
 * read from the published documents and the catalogue, so that a new route is in here before anybody thinks of it: one whose
 * ids nobody named below fails.
 */

const CANARY = 'canary-7f3a';

@Module({
  imports: [SchedulingModule],
  providers: [{ provide: SCHEDULES_PORT, useExisting: Schedules }],
  exports: [SCHEDULES_PORT],
})
class Ports {}

const steps = [{ type: 'CLI', args: { cmd: 'echo', args: [CANARY] } }];

/** A valid body for each route that takes one, so that it is the id and not the body that is refused. */
const BODIES: Partial<Record<keyof typeof ROUTES, object>> = {
  'POST /v1/turns/:id/resolve': { decision: 'retry' },
  'POST /v1/conversations/:key/messages': {
    trigger: 'submit-message',
    messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'x' }] }],
  },
  'PUT /v1/conversations/:key/queue': { mode: 'collect' },
  'POST /v1/turns/:id/signals': { name: 'x' },
  'POST /v1/secrets/:key/rotate': { value: 'another-value' },
  'POST /v1/approvals/:id/resolve': { decision: 'approved' },
  'POST /v1/pairings/:pairing/approve': { trust_level: 'local', capability_allowlist: [] },
};

/** Request types that name nothing of a tenant's, or whose names are the caller's own: these may well be answered. */
const OWN: ReadonlySet<RequestType> = new Set([
  'ping',
  'conversation.create',
  'conversation.list',
  'turn.list',
  'workflow.start',
  'events.replay',
  'approval.list',
  'presence.beacon',
]);
/** Answered otherwise than by what is found: the handshake is over, and only nodes send these. */
const REFUSED: Partial<Record<RequestType, string>> = {
  'connect.init': 'invalid_request',
  'connect.proof': 'invalid_request',
  'capability.ready': 'forbidden',
  'attempt.evidence': 'forbidden',
};

/** What stands for the parameters: the kind of a lease, and the id of whatever it is. */
function pathOf(path: string, id: string): string {
  return path.replace('{kind}', 'conversation').replace(/\{\w+\}/, encodeURIComponent(id));
}

describe.each(['sqlite', 'postgres'] as const)("another tenant's admin on %s", (database) => {
  let edge: TestEdge;
  let owner: string;
  let stranger: string;
  /** What the first tenant has, under the folder of the route that shows it. */
  let ids: Record<string, string>;
  /** The place in the outbox before everything the first tenant did. */
  let before: string;
  const heard: string[] = [];

  const call = async (token: string, method: string, path: string, body?: object) => {
    const answer = await fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const made = async (path: string, body: object): Promise<Record<string, string>> =>
    JSON.parse((await call(owner, 'POST', path, body)).text) as Record<string, string>;

  beforeAll(async () => {
    edge = await startTestEdge({
      database,
      imports: [Ports],
      env: { TYRUM_WEBHOOK_KEY: 'k'.repeat(32), TYRUM_SECRET_KEYS: 'A'.repeat(43) },
    });
    owner = await edge.issue();
    stranger = await edge.issue({ tenantId: await edge.newTenant() });
    before = await cursorOf(owner);
    const conversation_key = `agent:${CANARY}:dm:${CANARY}`;
    const asked = await askedAbout();
    const turn = await made('/v1/workflows', { conversation_key, steps });
    const schedule = await made('/v1/schedules', {
      kind: 'heartbeat',
      cadence: { type: 'interval', interval_ms: 3_600_000 },
      execution: { kind: 'steps', conversation_key, steps },
    });
    const webhook = await made('/v1/webhooks', {
      label: CANARY,
      execution: { kind: 'steps', conversation_key, steps },
    });
    const token = await made('/v1/tokens', { role: 'client', label: CANARY });
    await made('/v1/secrets', { key: CANARY, value: `${CANARY}-value` });
    const desktop = await made('/v1/desktop-environments', { label: CANARY });
    const artifact = await made(`/v1/artifacts?filename=${CANARY}&turn_id=${turn['workflow_run_id']}`, {
      text: CANARY,
    });
    ids = {
      turns: turn['workflow_run_id'] as string,
      conversations: conversation_key,
      schedules: schedule['schedule_id'] as string,
      tokens: token['token_id'] as string,
      tenants: DEFAULT_TENANT_ID,
      artifacts: artifact['artifact_id'] as string,
      leases: conversation_key,
      ...asked,
      secrets: CANARY,
      'desktop-environments': (desktop['environment'] as unknown as { environment_id: string }).environment_id,
      webhooks: (webhook['webhook'] as unknown as { trigger_id: string }).trigger_id,
    };
  });

  /** A turn that waits for an answer, a standing answer, and a device that asks to be a node. */
  async function askedAbout(): Promise<Record<string, string>> {
    const engine = new TestEngine(edge.store, edge.backplane);
    const executor = new ScriptedExecutor(() => Promise.resolve({ kind: 'succeeded', result: {} }));
    engine.process(executor, { policy: { tools: new Set(['CLI']) } });
    const ask = { type: 'Confirm', args: { prompt: CANARY } };
    await made('/v1/workflows', { conversation_key: 'agent:default:dm:asked', steps: [...steps, ask] });
    const waiting = async (nth: number): Promise<string> => {
      await eventually(async () => expect((await approvals()).length).toBe(nth));
      return (await approvals())[0]?.approval_id ?? '';
    };
    const approvals = async () => {
      const { text } = await call(owner, 'GET', '/v1/approvals');
      return (JSON.parse(text) as { approvals: { approval_id: string }[] }).approvals;
    };
    const always = { decision: 'approved', mode: 'always', overrides: [{ tool_id: 'CLI', pattern: CANARY }] };
    await made(`/v1/approvals/${await waiting(1)}/resolve`, always);
    const approval = await waiting(2);
    await engine.stop();
    const { text } = await call(owner, 'GET', '/v1/policy-overrides');
    const [override] = (JSON.parse(text) as { overrides: { policy_override_id: string }[] }).overrides;
    const node = await TestClient.connect(edge.socketUrl, await edge.issue({ role: 'node' }), {
      device: new TestDevice(),
      role: 'node',
      capabilities: [{ id: 'tyrum.fs.read', version: '1.0.0' }],
    });
    const told = await node.event('pairing.updated');
    await node.close();
    return {
      approvals: approval,
      'policy-overrides': override?.policy_override_id ?? '',
      pairings: String(told.payload.pairing.pairing_id),
    };
  }
  afterAll(() => edge.stop());

  const routes = Object.entries(openapi.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => [method.toUpperCase(), path] as const),
  );

  // A webhook is called by strangers, and asks for a signature: http/webhooks.int.spec.ts.
  it.each(routes.filter(([, path]) => path.includes('{') && path.startsWith('/v1/')))(
    'finds nothing at %s %s',
    async (method, path) => {
      const folder = path.split('/')[2] as string;
      const id = ids[folder];
      if (id === undefined) throw new Error(`say what another tenant has under ${folder}`);
      const route = `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}` as keyof typeof ROUTES;
      const body = BODIES[route] ?? ((ROUTES[route] as RouteSpec).body ? {} : undefined);
      const { status, text } = await call(stranger, method, pathOf(path, id), body);
      // A conversation's queue may not be set before there is a conversation, and its key is any tenant's to use.
      expect([status, JSON.parse(text)]).toEqual([404, expect.objectContaining({ code: 'not_found' })]);
      heard.push(text.replaceAll(encodeURIComponent(id), ''));
    },
  );

  it('cannot put an artifact into it, nor refer to one of it', async () => {
    const upload = await call(stranger, 'POST', `/v1/artifacts?turn_id=${ids['turns']}`, { x: 1 });
    expect([upload.status, JSON.parse(upload.text)]).toEqual([404, expect.objectContaining({ code: 'not_found' })]);
    const own = JSON.parse((await call(stranger, 'POST', '/v1/conversations', {})).text) as {
      conversation: { conversation_id: string };
    };
    const url = `artifact://${ids['artifacts']}`;
    const messages = [{ id: 'm', role: 'user', parts: [{ type: 'file', url }] }];
    const path = `/v1/conversations/${own.conversation.conversation_id}/messages`;
    const sent = await call(stranger, 'POST', path, { trigger: 'submit-message', messages });
    expect([sent.status, JSON.parse(sent.text)]).toEqual([404, expect.objectContaining({ code: 'not_found' })]);
    heard.push(upload.text, sent.text);
  });

  // Who logs in is of no tenant before: http/oidc.int.spec.ts.
  const isOfTenant = (path: string) => path !== '/v1/events' && !path.startsWith('/oidc/');
  it.each(routes.filter(([method, path]) => !path.includes('{') && method === 'GET' && isOfTenant(path)))(
    'is shown nothing by %s %s',
    async (method, path) => {
      const { status, text } = await call(stranger, method, path);
      expect([200, 403]).toContain(status);
      heard.push(text);
    },
  );

  it("is shown nothing of it with another tenant's cursor", async () => {
    const { text } = await call(owner, 'GET', '/v1/turns?limit=1');
    const { next_cursor: cursor } = JSON.parse(text) as { next_cursor: string };
    expect(JSON.parse((await call(owner, 'GET', `/v1/turns?cursor=${cursor}`)).text)).toMatchObject({
      turns: expect.arrayContaining([expect.anything()]),
    });
    for (const query of [`cursor=${cursor}`, `dead=true&cursor=${cursor}`]) {
      const { status, text: shown } = await call(stranger, 'GET', `/v1/turns?${query}`);
      expect([status, JSON.parse(shown)]).toEqual([200, { turns: [] }]);
    }
  });

  it('gets not_found, or nothing of it, from every request type, and hears no event', async () => {
    const resumed = await TestClient.connect(edge.socketUrl, stranger, { resumeCursor: before });
    const [client, theirs] = [
      await TestClient.connect(edge.socketUrl, stranger),
      await TestClient.connect(edge.socketUrl, owner),
    ];
    for (const type of Object.keys(REQUESTS) as RequestType[]) {
      // The smallest message of all is one without a message, which is refused for that.
      const example = REQUEST_EXAMPLES[type][type === 'conversation.send' ? 1 : 0];
      const payload = { ...example } as Record<string, unknown>;
      for (const name of ['conversation_id', 'conversation_key']) {
        if (name in payload) payload[name] = type === 'workflow.start' ? 'agent:own:main' : ids['conversations'];
      }
      if ('workflow_run_id' in payload) payload['workflow_run_id'] = ids['turns'];
      if ('approval_id' in payload) payload['approval_id'] = ids['approvals'];
      if ('pairing_id' in payload) payload['pairing_id'] = Number(ids['pairings']);
      if (type === 'workflow.resume') payload['token'] = ids['approvals'];
      if (type === 'approval.list') payload['turn_id'] = ids['turns'];
      if (type === 'events.replay') payload['cursor'] = before;
      const { ok, error } = await client.request(type, payload);
      const expected = REFUSED[type] ?? 'not_found';
      if (!(ok && OWN.has(type))) expect([type, error?.code]).toEqual([type, expected]);
    }
    await theirs.request('conversation.create', { agent_key: CANARY });
    await theirs.event('conversation.created');
    await client.request('ping');
    await resumed.request('ping');
    heard.push(...[...client.frames, ...resumed.frames].map((frame) => JSON.stringify(frame)));
    await Promise.all([client.close(), resumed.close(), theirs.close()]);
  });

  /** The head of the outbox, which a peer with a cursor of nowhere is told. */
  async function cursorOf(token: string): Promise<string> {
    const client = await TestClient.connect(edge.socketUrl, token, { resumeCursor: 'x' });
    await client.close();
    return client.hello.cursor;
  }

  it('has not seen a single thing of it, nor changed any', async () => {
    expect(heard.length).toBeGreaterThan(20);
    const shown = heard.filter((text) => text.includes(CANARY) || text.includes(ids['schedules'] as string));
    expect(shown).toEqual([]);
    const turn = await call(owner, 'GET', `/v1/turns/${ids['turns']}`);
    expect(JSON.parse(turn.text)).toMatchObject({ turn: { status: 'queued' } });
    expect((await call(owner, 'GET', `/v1/conversations/${ids['conversations']}`)).status).toBe(200);
    const lists = await Promise.all(['schedules', 'tokens'].map((name) => call(owner, 'GET', `/v1/${name}`)));
    expect(lists[0]?.text).toContain(ids['schedules']);
    expect(JSON.parse(lists[1]?.text ?? '')).toMatchObject({
      tokens: expect.arrayContaining([expect.objectContaining({ token_id: ids['tokens'], revoked_at: null })]),
    });
  });
});
