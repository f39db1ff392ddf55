import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, LIMITS, REQUESTS, type OperatorScope, type RequestType } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

const step = (text = 'x') => ({ type: 'CLI', args: { cmd: 'echo', args: [text] }, postcondition: {} });
const workflow = (conversation_key = `agent:default:load:dm:${randomUUID()}`) => ({
  conversation_key,
  steps: [step()],
});

describe.each(['sqlite', 'postgres'] as const)('requests on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  let client: TestClient;
  beforeAll(async () => {
    edge = await startTestEdge({ database });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());
  beforeEach(async () => {
    client = await TestClient.connect(edge.socketUrl, token);
  });
  afterEach(() => client.close());

  const turnsOf = async (tenantId: string, conversationKey: string): Promise<number> => {
    const rows = await edge.store.read((db) =>
      db.query<{ n: number }>(
        {
          name: 'count-turns',
          postgres: 'select count(*)::int as n from turn where tenant_id = $1 and conversation_key = $2',
          sqlite: 'select count(*) as n from turn where tenant_id = ?1 and conversation_key = ?2',
        },
        [tenantId, conversationKey],
      ),
    );
    return rows[0]?.n ?? -1;
  };

  it('starts a workflow, shows it, and cancels it once', async () => {
    const payload = { ...workflow(), request_id: 'mine', budgets: { max_duration_ms: 1000 } };
    const { result } = await client.request('workflow.start', payload);
    expect(result).toEqual({
      workflow_run_id: expect.any(String),
      plan_id: expect.any(String),
      request_id: 'mine',
      conversation_key: payload.conversation_key,
      steps_count: 1,
    });
    const { result: list } = await client.request('turn.list', { statuses: ['queued'] });
    const found = list.turns.find(({ turn }) => turn.turn_id === result.workflow_run_id);
    expect(found).toMatchObject({
      agent_key: 'default',
      trigger_kind: 'workflow',
      turn: { status: 'queued', job_id: result.workflow_run_id, budgets: { max_duration_ms: 1000 } },
    });
    const id = result.workflow_run_id;
    const cancel = () => client.request('workflow.cancel', { workflow_run_id: id, reason: 'enough' });
    expect((await cancel()).result).toEqual({ workflow_run_id: id, cancelled: true });
    expect((await cancel()).result).toEqual({ workflow_run_id: id, cancelled: false });
    expect((await client.event('turn.cancelled', (e) => e.payload.turn_id === id)).payload.reason).toBe('enough');
  });

  it('makes a conversation with the queue mode asked for', async () => {
    const { result } = await client.request('conversation.create', { queue_mode: 'steer' });
    expect(result.conversation).toMatchObject({ queue_mode: 'steer' });
    const text = `select queue_mode from conversation_queue where conversation_key = '${result.conversation.conversation_id}'`;
    const rows = await edge.store.execute({ name: 'mode', postgres: text, sqlite: text });
    expect(rows).toEqual([{ queue_mode: 'steer' }]);
    const { error } = await client.request('conversation.create', { queue_mode: 'now and then' } as never);
    expect(error?.code).toBe('contract_error');
  });

  it('makes one turn and one answer of 20 copies of a request, sent at once over two connections of the device', async () => {
    const device = new TestDevice();
    const pair = [
      await TestClient.connect(edge.socketUrl, token, { device }),
      await TestClient.connect(edge.socketUrl, token, { device }),
    ];
    const payload = workflow();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (pair[i % 2] as TestClient).request('workflow.start', payload, 'same')),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await turnsOf(DEFAULT_TENANT_ID, payload.conversation_key)).toBe(1);

    const other = await (pair[0] as TestClient).request('workflow.start', { ...payload, steps: [step('y')] }, 'same');
    expect(other.error?.code).toBe('conflict');
    // Neither another type nor another device is the same request.
    expect((await (pair[0] as TestClient).request('ping', {}, 'same')).ok).toBe(true);
    expect((await client.request('workflow.start', payload, 'same')).result.workflow_run_id).not.toBe(
      answers[0]?.result.workflow_run_id,
    );
    await Promise.all(pair.map((each) => each.close()));
  });

  it('replays what was done in a transaction as well, and does it once', async () => {
    const key = randomUUID();
    const created = await Promise.all(
      [1, 2, 3].map(() => client.request('conversation.create', { channel: 'ui' }, key)),
    );
    expect(new Set(created.map(({ result }) => result.conversation.conversation_id)).size).toBe(1);
    expect((await client.request('conversation.create', {}, key)).error?.code).toBe('conflict');

    const { workflow_run_id } = (await client.request('workflow.start', workflow())).result;
    const cancels = await Promise.all(
      Array.from({ length: 10 }, () => client.request('workflow.cancel', { workflow_run_id }, `${key}-cancel`)),
    );
    expect(new Set(cancels.map((answer) => JSON.stringify(answer)))).toEqual(new Set([JSON.stringify(cancels[0])]));
    expect(cancels[0]?.result).toEqual({ workflow_run_id, cancelled: true });
  });

  it('lists turns by pages, and tells of a next one only when there is one', async () => {
    const own = await TestClient.connect(edge.socketUrl, await edge.issue({ tenantId: await edge.newTenant() }));
    const started: string[] = [];
    for (let i = 0; i < 3; i += 1)
      started.push((await own.request('workflow.start', workflow())).result.workflow_run_id);
    const first = (await own.request('turn.list', { limit: 2 })).result;
    const second = (await own.request('turn.list', { limit: 2, cursor: first.next_cursor })).result;
    expect([first.turns.length, second.turns.length]).toEqual([2, 1]);
    const listed = [...first.turns, ...second.turns].map(({ turn }) => turn.turn_id);
    expect(listed.sort()).toEqual([...started].sort());
    expect(second).not.toHaveProperty('next_cursor');
    expect((await own.request('turn.list', { cursor: 'x' })).error).toMatchObject({
      code: 'contract_error',
      details: [{ field: 'payload.cursor' }],
    });
    await own.close();
  });

  it('creates, lists by pages, gets, feeds, picks up and deletes conversations', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const { result } = await client.request('conversation.create', { agent_key: 'lister', channel: 'ui' });
      ids.push(result.conversation.conversation_id);
    }
    expect(ids[0]).toMatch(/^agent:lister:ui:default:channel:ui-[0-9a-f-]{36}$/);
    const filter = { agent_key: 'lister', limit: 2 };
    const first = (await client.request('conversation.list', filter)).result;
    const second = (await client.request('conversation.list', { ...filter, cursor: first.next_cursor })).result;
    const listed = [...first.conversations, ...second.conversations].map((c) => c.conversation_id);
    expect(listed.sort()).toEqual([...ids].sort());
    expect(second.next_cursor).toBeUndefined();
    expect((await client.request('conversation.list', { cursor: 'x' })).error).toMatchObject({
      code: 'contract_error',
      details: [{ field: 'payload.cursor' }],
    });

    const conversation_id = ids[0] as string;
    expect((await client.request('conversation.reconnect', { conversation_id })).result).toBeNull();
    const message = { id: 'm1', role: 'user', parts: [{ type: 'text', text: 'hello' }] };
    const sent = { conversation_id, message_id: 'given', messages: [message], trigger: 'submit-message' };
    const { stream_id } = (await client.request('conversation.send', sent)).result;
    expect((await client.request('conversation.reconnect', { conversation_id })).result).toEqual({ stream_id });
    const { conversation } = (await client.request('conversation.get', { conversation_id })).result;
    expect(conversation).toMatchObject({
      message_count: 1,
      last_message: { role: 'user', text: 'hello' },
      messages: [{ id: 'given', role: 'user', parts: message.parts }],
    });
    expect((await client.request('conversation.send', sent)).error?.code).toBe('conflict');
    expect(
      (await client.request('conversation.send', { conversation_id, trigger: 'submit-message' })).error?.details[0]
        ?.field,
    ).toBe('payload.messages');

    expect((await client.request('conversation.delete', { conversation_id })).error?.code).toBe('conflict');
    const gone = { conversation_id: ids[1] as string };
    expect((await client.request('conversation.delete', gone)).result).toEqual(gone);
    for (const type of ['conversation.get', 'conversation.delete', 'conversation.reconnect']) {
      expect((await client.request(type, gone)).error?.code).toBe('not_found');
    }
    expect((await client.request('conversation.send', { ...sent, ...gone })).error?.code).toBe('not_found');
  });

  it('shows nothing of another tenant', async () => {
    const payload = workflow();
    const { workflow_run_id } = (await client.request('workflow.start', payload)).result;
    const tenantId = await edge.newTenant();
    const stranger = await TestClient.connect(edge.socketUrl, await edge.issue({ tenantId }));
    const conversation_id = payload.conversation_key;
    const attempts: [string, object][] = [
      ['workflow.cancel', { workflow_run_id }],
      ['conversation.get', { conversation_id }],
      ['conversation.delete', { conversation_id }],
      ['conversation.reconnect', { conversation_id }],
      [
        'conversation.send',
        {
          conversation_id,
          trigger: 'submit-message',
          messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'x' }] }],
        },
      ],
    ];
    for (const [type, body] of attempts) expect((await stranger.request(type, body)).error?.code).toBe('not_found');
    expect((await stranger.request('turn.list')).result).toEqual({ turns: [] });
    expect((await stranger.request('conversation.list')).result).toEqual({ conversations: [] });
    // The same key in both tenants is two conversations.
    await stranger.request('workflow.start', payload);
    expect(await turnsOf(DEFAULT_TENANT_ID, conversation_id)).toBe(1);
    expect(await turnsOf(tenantId, conversation_id)).toBe(1);
    await stranger.close();
  });
});

describe('what is refused', () => {
  let edge: TestEdge;
  let client: TestClient;
  beforeAll(async () => {
    edge = await startTestEdge();
  });
  afterAll(() => edge.stop());
  beforeEach(async () => {
    client = await TestClient.connect(edge.socketUrl, await edge.issue());
  });
  afterEach(() => client.close());

  const malformed: [string, object, string][] = [
    ['an unknown type', { type: 'workflow.begin', payload: {} }, 'type'],
    ['a type every object has', { type: 'constructor', payload: {} }, 'type'],
    ['an unknown field of the envelope', { type: 'ping', payload: {}, extra: 1 }, 'extra'],
    ['a missing payload', { type: 'ping' }, 'payload'],
    ['a payload that is a list', { type: 'ping', payload: [] }, 'payload'],
    ['an unknown field of the payload', { type: 'ping', payload: { extra: 1 } }, 'payload.extra'],
    ['a wrong type', { type: 'turn.list', payload: { limit: '5' } }, 'payload.limit'],
    ['too much', { type: 'turn.list', payload: { limit: 201 } }, 'payload.limit'],
    ['no steps', { type: 'workflow.start', payload: { conversation_key: 'agent:a:main', steps: [] } }, 'payload.steps'],
    [
      'a bad key',
      { type: 'workflow.start', payload: { conversation_key: 'agent', steps: [step()] } },
      'payload.conversation_key',
    ],
    [
      'a step without its command',
      {
        type: 'workflow.start',
        payload: { conversation_key: 'agent:a:main', steps: [step(), { type: 'CLI', args: {} }] },
      },
      'payload.steps[1].args.cmd',
    ],
    [
      'an action nobody executes',
      { type: 'workflow.start', payload: { conversation_key: 'agent:a:main', steps: [{ type: 'Pay', args: {} }] } },
      'payload.steps[0].type',
    ],
    [
      'a NUL',
      { type: 'workflow.start', payload: { conversation_key: 'agent:a:main', steps: [step('\0')] } },
      'payload.steps[0].args.args[0]',
    ],
    [
      'an id that is no UUID',
      { type: 'workflow.cancel', payload: { workflow_run_id: '1' } },
      'payload.workflow_run_id',
    ],
  ];
  it.each(malformed)('%s: contract_error with the field', async (_, frame, field) => {
    client.send({ request_id: 'r', ...frame });
    const answer = await client.frame(({ request_id }) => request_id === 'r');
    expect(answer).toMatchObject({ ok: false, error: { code: 'contract_error' } });
    expect(answer.error?.details[0]?.field).toBe(field);
  });

  it.each([
    ['no JSON', '{"request_id": "r", '],
    ['a number', '1'],
    ['null', 'null'],
    ['nested too deep', `{"request_id":"r","type":"ping","payload":${'{"a":'.repeat(64)}1${'}'.repeat(64)}}`],
    ['a request without an id', { type: 'ping', payload: {} }],
    ['an id that is no text', { request_id: 1, type: 'ping', payload: {} }],
    ['an id that is too long', { request_id: 'x'.repeat(256), type: 'ping', payload: {} }],
    ['a binary frame', Buffer.from('{}')],
    ['an event', { event_id: '1', type: 'error', occurred_at: 'now', payload: {} }],
  ])('%s: an error event, and the connection lives on', async (_, frame) => {
    client.send(frame);
    const { payload, scope } = await client.event('error');
    expect(payload.code).toBe('contract_error');
    expect(scope).toEqual({ kind: 'client', client_id: client.clientId });
    expect((await client.request('ping')).ok).toBe(true);
  });

  it('ignores answers it did not ask for, and refuses a second handshake', async () => {
    client.send({ request_id: 'x', type: 'task.execute', ok: true, result: {} });
    expect((await client.request('connect.init', new TestDevice().initPayload())).error?.code).toBe('invalid_request');
    expect(client.events()).toEqual([]);
  });

  const minimal: Partial<Record<RequestType, object>> = {
    'conversation.get': { conversation_id: 'agent:a:main' },
    'conversation.send': { conversation_id: 'agent:a:main', trigger: 'regenerate-message' },
    'conversation.reconnect': { conversation_id: 'agent:a:main' },
    'conversation.delete': { conversation_id: 'agent:a:main' },
    'workflow.start': workflow(),
    'workflow.resume': { token: 'x' },
    'workflow.cancel': { workflow_run_id: randomUUID() },
    'approval.resolve': { approval_id: randomUUID(), decision: 'denied' },
    'pairing.approve': { pairing_id: 1, trust_level: 'local', capability_allowlist: [] },
    'pairing.deny': { pairing_id: 1 },
    'pairing.revoke': { pairing_id: 1 },
    'events.replay': { cursor: 'x' },
    'capability.ready': { capabilities: [] },
    'attempt.evidence': { dispatch_id: 'x', evidence: {} },
  };
  const types = (Object.keys(REQUESTS) as RequestType[]).filter((type) => !type.startsWith('connect.'));

  it('checks the scope of every type, and knows an honest answer for every type', async () => {
    const scopes: OperatorScope[] = ['operator.read', 'operator.write', 'operator.approvals', 'operator.pairing'];
    for (const scope of [undefined, ...scopes]) {
      const holder = await TestClient.connect(
        edge.socketUrl,
        await edge.issue({ role: 'client', scopes: scope ? [scope] : [] }),
      );
      for (const type of types) {
        const { roles, scope: needed } = REQUESTS[type];
        const may = roles.includes('client') && (needed === null || needed === scope);
        const { error } = await holder.request(type, minimal[type]);
        expect([scope, type, error?.code === 'forbidden']).toEqual([scope, type, !may]);
        if (may) expect([undefined, 'not_found', 'contract_error']).toContain(error?.code);
      }
      await holder.close();
    }
  });

  it('lets a node do what nodes do and no more, whatever its token carries', async () => {
    const node = await TestClient.connect(edge.socketUrl, await edge.issue(), { role: 'node' });
    for (const type of types) {
      const { error } = await node.request(type, minimal[type]);
      expect([type, error?.code === 'forbidden']).toEqual([type, !REQUESTS[type].roles.includes('node')]);
    }
    await node.close();
  });

  it('knows no dispatch that this node was not asked for, once the payload is right', async () => {
    const node = await TestClient.connect(edge.socketUrl, await edge.issue(), { role: 'node' });
    const evidence = { dispatch_id: 'd', evidence: {} };
    expect((await node.request('attempt.evidence', evidence)).error).toEqual({
      code: 'not_found',
      message: 'there is no such dispatch',
    });
    expect((await node.request('attempt.evidence', { dispatch_id: 1 })).error?.code).toBe('contract_error');
    await node.close();
  });

  it('answers rate_limited beyond 64 requests in flight, and serves on when they are answered', async () => {
    const count = LIMITS.requestsInFlightPerConnection + 20;
    const answers = await Promise.all(
      Array.from({ length: count }, () => client.request('workflow.start', workflow())),
    );
    const limited = answers.filter(({ error }) => error?.code === 'rate_limited');
    expect(limited.length).toBeGreaterThan(0);
    expect(answers.filter(({ ok }) => ok).length).toBe(count - limited.length);
    expect((await client.request('ping')).ok).toBe(true);
    await eventually(() => expect(client.refusals({ door: 'ws', reason: 'requests_in_flight' })).toBe(limited.length));
  });

  it('closes the session with 4004 at the next request after a revocation', async () => {
    const token = await edge.issue();
    const session = await TestClient.connect(edge.socketUrl, token);
    const id = token.split('.')[2] ?? '';
    await edge.tokens.revoke(DEFAULT_TENANT_ID, id);
    session.send({ request_id: 'r', type: 'ping', payload: {} });
    expect(await session.closed).toMatchObject({ code: 4004 });
  });
});
