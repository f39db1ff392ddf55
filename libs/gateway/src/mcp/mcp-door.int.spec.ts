import { randomUUID } from 'node:crypto';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { OPERATOR_SCOPES, type OperatorScope } from '@tyrum/protocol';
import { McpTestClient, startTestEdge, TestClient, type TestEdge } from '../testing';

const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
const ACCEPT = 'application/json, text/event-stream';
const OURS = 'https://console.example';

/** Arguments for every tool: ids that nobody has, where it takes some. */
const ARGUMENTS: Readonly<Record<string, object>> = {
  start_turn: { conversation_key: 'agent:default:main', steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }] },
  get_turn: { turn_id: randomUUID() },
  wait_for_turn: { turn_id: randomUUID(), timeout_ms: 1 },
  list_turns: {},
  cancel_turn: { turn_id: randomUUID() },
  resolve_step: { turn_id: randomUUID(), decision: 'retry' },
  list_artifacts: { turn_id: randomUUID() },
  create_conversation: {},
  send_message: { conversation_id: 'agent:nobody:main', text: 'x' },
  list_conversations: {},
  get_conversation: { conversation_id: 'agent:nobody:main' },
  list_approvals: {},
  resolve_approval: { approval_id: randomUUID(), decision: 'denied' },
};
/** Those that need no id of something. */
const ANSWERED = ['start_turn', 'list_turns', 'create_conversation', 'list_conversations', 'list_approvals'];

/** What each scope opens, said a second time: what is not here is closed. */
const OPENS: Partial<Record<OperatorScope, readonly string[]>> = {
  'operator.read': [
    'get_turn',
    'wait_for_turn',
    'list_turns',
    'list_artifacts',
    'list_conversations',
    'get_conversation',
  ],
  'operator.write': ['start_turn', 'cancel_turn', 'resolve_step', 'create_conversation', 'send_message'],
  'operator.approvals': ['list_approvals', 'resolve_approval'],
};

describe('the door of the Model Context Protocol', () => {
  let edge: TestEdge;
  let token: string;

  beforeAll(async () => {
    edge = await startTestEdge({ allowedOrigins: [OURS] });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  const post = (body: unknown, headers: Record<string, string> = {}, at = edge) =>
    fetch(`${at.httpUrl}/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: ACCEPT,
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  it('answers who has a token, from no page or from one that is allowed', async () => {
    expect((await post(PING)).status).toBe(200);
    expect((await post(PING, { origin: OURS })).status).toBe(200);
    for (const authorization of ['', 'Bearer x', `Bearer tyrum-token.v1.${randomUUID()}.${'x'.repeat(43)}`]) {
      const refused = await post(PING, { authorization });
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    }
    for (const origin of ['https://evil.example', 'http://127.0.0.1', 'null', 'http://127.0.0.1:1']) {
      expect((await post(PING, { origin })).status).toBe(403);
    }
    expect((await fetch(`${edge.httpUrl}/mcp?token=${token}`, { method: 'POST' })).status).toBe(401);
  });

  it.each(['GET', 'DELETE', 'PUT'])('has nothing to %s', async (method) => {
    const headers = { authorization: `Bearer ${token}`, accept: ACCEPT };
    const answer = await fetch(`${edge.httpUrl}/mcp`, { method, headers });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it.each<[string, unknown, Record<string, string>, number]>([
    ['what is no JSON', '{', {}, 400],
    ['nothing', '', {}, 400],
    ['what is no message', { method: 'ping' }, {}, 400],
    ['several messages', [PING, PING], {}, 400],
    ['a version nobody knows', PING, { 'mcp-protocol-version': '1999-01-01' }, 400],
    ['who takes no streams', PING, { accept: 'application/json' }, 406],
    ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    [
      'what is nested too deep',
      `{"jsonrpc":"2.0","id":1,"method":"x","params":${'['.repeat(70)}${']'.repeat(70)}}`,
      {},
      400,
    ],
    ['what is nested far too deep', '['.repeat(500_000), {}, 400],
    ['what is too large', { ...PING, params: { x: 'x'.repeat(1024 * 1024) } }, {}, 413],
  ])('refuses %s', async (_, body, headers, status) => {
    const answer = await post(body, headers);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
    await answer.text();
  });

  it('answers a method nobody knows, and survives messages that answer nothing', async () => {
    const unknown = await post({ jsonrpc: '2.0', id: 2, method: 'tools/steal' });
    expect(await unknown.text()).toContain('-32601');
    expect((await post({ jsonrpc: '2.0', id: 3, result: {} })).status).toBe(202);
    expect((await post({ jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202);
    expect((await post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } })).status).toBe(
      202,
    );
    expect((await post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: {} })).status).toBe(202);
    expect((await post(PING)).status).toBe(200);
  });

  it('publishes schemas that hold what its tools take', async () => {
    const client = await McpTestClient.connect(edge.httpUrl, token);
    const { tools } = await client.client.listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual(Object.keys(ARGUMENTS).sort());
    for (const { name, inputSchema } of tools) {
      const ajv = new Ajv2020({ strict: false });
      addFormats(ajv);
      const validate = ajv.compile(inputSchema);
      expect([name, validate(ARGUMENTS[name])]).toEqual([name, true]);
      expect([name, validate({ ...ARGUMENTS[name], unknown: 1 })]).toEqual([name, false]);
    }
    await client.close();
  });

  it('has each tool want its scope, shows only those a token may call, and writes down who was refused', async () => {
    const audit = await TestClient.connect(edge.socketUrl, token);
    for (const scope of [undefined, ...OPERATOR_SCOPES]) {
      const scopes = scope === undefined ? [] : [scope];
      const client = await McpTestClient.connect(edge.httpUrl, await edge.issue({ role: 'client', scopes }));
      const open = (scope && OPENS[scope]) ?? [];
      const { tools } = await client.client.listTools();
      expect(tools.map(({ name }) => name).sort()).toEqual([...open].sort());
      for (const [name, args] of Object.entries(ARGUMENTS)) {
        const refused = await client.refused(name, args);
        const expected = !open.includes(name) ? 'forbidden' : ANSWERED.includes(name) ? undefined : 'not_found';
        expect([scope, name, refused]).toEqual([scope, name, expected]);
      }
      const { resources } = await client.client.listResources();
      if (scope !== 'operator.read') expect(resources).toEqual([]);
      const reading = client.client.readResource({ uri: 'conversation://agent%3Anobody%3Amain' });
      await expect(reading).rejects.toMatchObject({ code: scope === 'operator.read' ? -32002 : -32600 });
      await client.close();
    }
    await audit.event('authz.denied', ({ payload }) => payload.reason === 'scope');
    await audit.close();
    const node = await McpTestClient.connect(edge.httpUrl, await edge.issue({ role: 'node' }));
    expect((await node.client.listTools()).tools).toEqual([]);
    await node.close();
  });

  it('finds nothing of another tenant by any tool or resource', async () => {
    const CANARY = `canary-${randomUUID()}`;
    const owner = await McpTestClient.connect(edge.httpUrl, token);
    const { conversation_id } = (await owner.call('create_conversation', { agent_key: CANARY })).value.conversation;
    const steps = [{ type: 'CLI', args: { cmd: 'echo', args: [CANARY] } }];
    const { workflow_run_id: turn_id } = (await owner.call('start_turn', { conversation_key: conversation_id, steps }))
      .value;
    const upload = await fetch(`${edge.httpUrl}/v1/artifacts?turn_id=${turn_id}&filename=${CANARY}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
      body: CANARY,
    });
    const { uri } = (await upload.json()) as { uri: string };

    const stranger = await McpTestClient.connect(edge.httpUrl, await edge.issue({ tenantId: await edge.newTenant() }));
    for (const [name, args] of Object.entries(ARGUMENTS)) {
      const theirs = {
        ...args,
        ...('turn_id' in args ? { turn_id } : {}),
        ...('conversation_id' in args ? { conversation_id } : {}),
      };
      const { isError, value } = await stranger.call(name, theirs);
      expect([name, isError ? value.error.code : undefined]).toEqual([
        name,
        ANSWERED.includes(name) ? undefined : 'not_found',
      ]);
      expect([name, JSON.stringify(value)]).toEqual([name, expect.not.stringContaining(CANARY)]);
    }
    const own = (await stranger.call('create_conversation')).value.conversation.conversation_id as string;
    const refer = { conversation_id: own, text: 'x', artifacts: [uri] };
    expect(await stranger.refused('send_message', refer)).toBe('not_found');
    const conversation = `conversation://${encodeURIComponent(conversation_id as string)}`;
    for (const theirs of [uri, conversation]) {
      await expect(stranger.client.readResource({ uri: theirs })).rejects.toMatchObject({ code: -32002 });
      await owner.client.readResource({ uri: theirs });
    }
    expect(JSON.stringify((await stranger.client.listResources()).resources)).not.toContain(CANARY);
    // Not taken back either, by its number: the names of sessions and calls are each token's own.
    const waiting = owner.call('wait_for_turn', { turn_id, timeout_ms: 700 });
    const session = owner.transport.sessionId ?? '';
    for (let requestId = 0; requestId < 30; requestId += 1) {
      const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
      const authorization = `Bearer ${await edge.issue()}`;
      expect((await post(body, { authorization, 'mcp-session-id': session })).status).toBe(202);
    }
    expect((await waiting).value.outcome).toBe('running');
    await Promise.all([owner.close(), stranger.close()]);
  });

  it('keeps to the limits of requests, and to those of the body', async () => {
    const limited = await startTestEdge({ limits: { perToken: 3 }, bodyMs: 300 });
    token = await limited.issue();
    const statuses = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await post(PING, {}, limited)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    await limited.stop();
    token = await edge.issue();
  });
});
