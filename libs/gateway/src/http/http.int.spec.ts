import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { Module } from '@nestjs/common';
import { DEFAULT_TENANT_ID, type Schedule, type ScheduleCreateBody } from '@tyrum/protocol';
import { SCHEDULES_PORT, type SchedulesPort } from '../ports';
import { startTestEdge, TestClient, type TestEdge } from '../testing';

const step = (text = 'x') => ({ type: 'CLI', args: { cmd: 'echo', args: [text] } });
const workflow = (text?: string) => ({
  conversation_key: `agent:default:load:dm:${randomUUID()}`,
  steps: [step(text)],
});

let edge: TestEdge;
let token: string;

const call = (
  method: string,
  path: string,
  init: { body?: unknown; headers?: Record<string, string>; token?: string } = {},
) =>
  fetch(`${edge.httpUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${init.token ?? token}`, 'content-type': 'application/json', ...init.headers },
    ...(init.body === undefined ? {} : { body: typeof init.body === 'string' ? init.body : JSON.stringify(init.body) }),
  });

/** Every field of an answer these tests look at; which of them are there, the test knows. */
interface Seen {
  readonly workflow_run_id: string;
  readonly steps_count: number;
  readonly turn: { readonly status: string };
  readonly turns: readonly { readonly turn: { readonly turn_id: string } }[];
  readonly next_cursor?: string;
  readonly steps: readonly object[];
  readonly code: string;
  readonly token: string;
  readonly token_id: string;
  readonly schedule_id: string;
  readonly schedules: readonly object[];
  readonly status: number;
  readonly errors?: readonly { readonly field: string }[];
}

const json = async (response: Response | Promise<Response>): Promise<Seen> => (await (await response).json()) as Seen;

async function problem(response: Response): Promise<Seen> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = await json(response);
  expect(body).toMatchObject({
    type: 'about:blank',
    status: response.status,
    code: expect.any(String),
    detail: expect.any(String),
  });
  return body;
}

describe.each(['sqlite', 'postgres'] as const)('workflows and turns over HTTP on %s', (database) => {
  beforeAll(async () => {
    edge = await startTestEdge({ database });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  it('makes one turn and one answer of 20 copies sent at once, and 422 of another payload', async () => {
    const body = workflow();
    const headers = { 'idempotency-key': 'once' };
    const copies = await Promise.all(
      Array.from({ length: 20 }, () => call('POST', '/v1/workflows', { body, headers })),
    );
    // A copy that comes while the first is being carried out is told to ask again.
    const answers = copies.filter(({ status }) => status !== 409);
    answers.push(await call('POST', '/v1/workflows', { body, headers }));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get('idempotency-replayed') === null)).toHaveLength(1);
    const other = await call('POST', '/v1/workflows', { body: { ...body, steps: [step('y')] }, headers });
    expect(other.status).toBe(422);
    expect((await problem(other)).code).toBe('conflict');
    // Fields in another order are the same payload; another token's key is another key.
    const reordered = await call('POST', '/v1/workflows', {
      body: { steps: body.steps, conversation_key: body.conversation_key },
      headers,
    });
    expect(reordered.headers.get('idempotency-replayed')).toBe('true');
    const foreign = await call('POST', '/v1/workflows', {
      body: { ...body, steps: [step('y')] },
      headers,
      token: await edge.issue(),
    });
    expect([foreign.status, foreign.headers.get('idempotency-replayed')]).toEqual([202, null]);
  });

  it('accepts without a key, shows the turn, cancels it, and replays the cancellation', async () => {
    const started = await call('POST', '/v1/workflows', { body: workflow() });
    const { workflow_run_id: id, steps_count } = await json(started);
    expect(steps_count).toBe(1);
    const shown = await json(call('GET', `/v1/turns/${id}`));
    expect(shown).toMatchObject({
      turn: { turn_id: id, status: 'queued' },
      steps: [{ step_index: 0, status: 'queued' }],
    });
    const list = await json(call('GET', '/v1/turns?status=queued&limit=200'));
    expect(list.turns.map(({ turn }) => turn.turn_id)).toContain(id);
    expect((await json(call('POST', `/v1/turns/${id}/resolve`, { body: { decision: 'retry' } }))).code).toBe(
      'conflict',
    );

    const cancel = () =>
      call('POST', `/v1/turns/${id}/cancel`, { body: { reason: 'enough' }, headers: { 'idempotency-key': 'c' } });
    const [first, second] = [await cancel(), await cancel()];
    expect(await first.json()).toEqual({ turn_id: id, cancelled: true });
    expect(await second.json()).toEqual({ turn_id: id, cancelled: true });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(await json(call('POST', `/v1/turns/${id}/cancel`))).toEqual({ turn_id: id, cancelled: false });
    expect((await json(call('GET', `/v1/turns/${id}`))).turn.status).toBe('cancelled');
  });

  it('settles a parked step as decided', async () => {
    const { workflow_run_id: id } = await json(call('POST', '/v1/workflows', { body: workflow() }));
    const park = `update turn set status = 'paused', wait_kind = 'manual', blocked_reason = 'manual', blocked_detail = 'unknown' where turn_id = `;
    const addStep = `insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, started_at) values `;
    const row = `'${JSON.stringify(step())}', 'once', 'paused', 1, 0)`;
    await edge.store.execute({ name: 'park', postgres: `${park}$1`, sqlite: `${park}?1` }, [id]);
    const idle = `update conversation_queue set state = 'parked', due_at = null, pending = 0`;
    await edge.store.execute({ name: 'idle', postgres: idle, sqlite: idle });
    await edge.store.execute(
      { name: 'add-step', postgres: `${addStep}($1, $2, 0, ${row}`, sqlite: `${addStep}(?1, ?2, 0, ${row}` },
      [DEFAULT_TENANT_ID, id],
    );
    const resolve = (body: object) => call('POST', `/v1/turns/${id}/resolve`, { body });
    expect((await resolve({ decision: 'retry', step_index: 3 })).status).toBe(409);
    expect((await resolve({ decision: 'retry', result: {} })).status).toBe(400);
    expect((await resolve({ decision: 'maybe' })).status).toBe(400);
    const done = await resolve({ decision: 'done', step_index: 0, result: { output: 'seen' } });
    expect([done.status, await done.json()]).toEqual([200, { turn_id: id, decision: 'done' }]);
    const { steps } = await json(call('GET', `/v1/turns/${id}`));
    expect(steps[0]).toMatchObject({ status: 'succeeded', result: { resolved: 'done', output: 'seen' } });
  });

  it('sets how a conversation queues, and answers 429 when its queue is full', async () => {
    const body = workflow();
    const path = `/v1/conversations/${body.conversation_key}/queue`;
    expect((await call('PUT', path, { body: { mode: 'steer' } })).status).toBe(404);
    expect((await call('POST', '/v1/workflows', { body })).status).toBe(202);
    expect((await call('PUT', path, { body: { mode: 'sometimes' } })).status).toBe(400);
    const set = await call('PUT', path, { body: { mode: 'collect', cap: 1 } });
    expect([set.status, (await set.json()) as object]).toMatchObject([
      200,
      { conversation: { queue_mode: 'collect' } },
    ]);
    const full = await call('POST', '/v1/workflows', { body });
    expect([full.status, full.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await problem(full)).toMatchObject({ code: 'overloaded' });
  });

  it('lists dead turns and brings one back as a new turn, once', async () => {
    const { workflow_run_id: id } = await json(call('POST', '/v1/workflows', { body: workflow() }));
    const redrive = (body?: object) => call('POST', `/v1/turns/${id}/redrive`, { body: body ?? {} });
    expect((await redrive()).status).toBe(409);
    expect((await redrive({ decision: 'fail' })).status).toBe(400);
    const fail = `update turn set status = 'failed' where turn_id = `;
    await edge.store.execute({ name: 'fail', postgres: `${fail}$1`, sqlite: `${fail}?1` }, [id]);
    const letter = `insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
      select tenant_id, turn_id, conversation_key, 5, '{"last_error":null,"takeovers":[]}', 1 from turn where turn_id = `;
    await edge.store.execute({ name: 'letter', postgres: `${letter}$1`, sqlite: `${letter}?1` }, [id]);
    const dead = async () => (await json(call('GET', '/v1/turns?dead=true'))).turns.map(({ turn }) => turn.turn_id);
    expect(await dead()).toContain(id);
    const answer = await redrive();
    expect(answer.status).toBe(202);
    const { turn_id, redrive_of } = (await answer.json()) as { turn_id: string; redrive_of: string };
    expect(redrive_of).toBe(id);
    expect((await json(call('GET', `/v1/turns/${turn_id}`))).turn.status).toBe('queued');
    expect((await redrive()).status).toBe(409);
    expect(await dead()).not.toContain(id);
  });

  it('pages through turns of the same instant, living and dead, each once and newest first', async () => {
    const own = await edge.issue({ tenantId: await edge.newTenant() });
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      ids.push((await json(call('POST', '/v1/workflows', { token: own, body: workflow() }))).workflow_run_id);
    }
    const letter = `insert into dead_letter (tenant_id, turn_id, conversation_key, attempts, cause, died_at)
      select tenant_id, turn_id, conversation_key, 5, '{"last_error":null,"takeovers":[]}', 7000 from turn where turn_id = `;
    for (const [i, id] of ids.entries()) {
      const set = `update turn set created_at = ${i < 4 ? 7 : 8}000 where turn_id = `;
      await edge.store.execute({ name: `made-${i}`, postgres: `${set}$1`, sqlite: `${set}?1` }, [id]);
      await edge.store.execute({ name: 'letter', postgres: `${letter}$1`, sqlite: `${letter}?1` }, [id]);
    }
    const page = (query: string) => json(call('GET', `/v1/turns?${query}`, { token: own }));
    const walk = async (query: string) => {
      const pages: string[][] = [];
      for (let cursor: string | undefined = ''; cursor !== undefined;) {
        const { turns, next_cursor } = await page(`${query}${cursor && `&cursor=${cursor}`}`);
        pages.push(turns.map(({ turn }) => turn.turn_id));
        cursor = next_cursor;
      }
      return pages;
    };
    const [d, c, b, a] = ids.slice(0, 4).sort();
    expect(await walk('limit=2')).toEqual([[ids[4], a], [b, c], [d]]);
    expect((await walk('limit=2&dead=true')).flat()).toEqual([...ids].sort().reverse());
    const bad = await problem(await call('GET', '/v1/turns?cursor=x'));
    expect(bad).toMatchObject({ status: 400, code: 'contract_error', errors: [{ field: 'query.cursor' }] });
  });

  it('shows nothing of another tenant', async () => {
    const body = workflow();
    const { workflow_run_id: id } = await json(call('POST', '/v1/workflows', { body }));
    const stranger = await edge.issue({ tenantId: await edge.newTenant() });
    for (const [method, path, sent] of [
      ['GET', `/v1/turns/${id}`],
      ['POST', `/v1/turns/${id}/cancel`],
      ['POST', `/v1/turns/${id}/redrive`],
      ['POST', `/v1/turns/${id}/resolve`, { decision: 'retry' }],
      ['GET', `/v1/conversations/${body.conversation_key}`],
      ['DELETE', `/v1/tokens/${token.split('.')[2]}`],
    ] as const) {
      expect([path, (await call(method, path, { token: stranger, body: sent })).status]).toEqual([path, 404]);
    }
    expect(await json(call('GET', '/v1/turns', { token: stranger }))).toEqual({ turns: [] });
    expect(await json(call('GET', '/v1/conversations', { token: stranger }))).toEqual({ conversations: [] });
  });
});

describe('the HTTP door', () => {
  const schedules = new Map<string, Schedule>();
  const schedulesPort: SchedulesPort = {
    wake: () => undefined,
    createIn: (_tx, _tenant, body: ScheduleCreateBody) => {
      const at = '2026-01-01T00:00:00.000Z';
      const made = {
        ...body,
        schedule_id: randomUUID(),
        delivery: null,
        next_fire_at: null,
        last_fired_at: null,
        created_at: at,
        updated_at: at,
      };
      schedules.set(made.schedule_id, made);
      return Promise.resolve(made);
    },
    list: () => Promise.resolve([...schedules.values()]),
    remove: (_tenant, id) => Promise.resolve(schedules.delete(id)),
  };
  beforeAll(async () => {
    @Module({
      providers: [{ provide: SCHEDULES_PORT, useValue: schedulesPort }],
      exports: [SCHEDULES_PORT],
    })
    class Ports {}
    edge = await startTestEdge({ imports: [Ports] });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  it.each([
    ['GET', '/nowhere', 404],
    ['GET', '/v1/nowhere', 404],
    ['DELETE', '/v1/workflows', 404],
    ['GET', '/v1/turns/1', 400],
    ['GET', `/v1/turns/${randomUUID()}`, 404],
    ['GET', '/v1/turns?limit=201', 400],
    ['GET', '/v1/conversations/agent', 400],
    ['GET', '/v1/conversations/agent:nobody:main', 404],
    ['GET', '/v1/conversations?cursor=x', 400],
    ['GET', `/v1/artifacts/${randomUUID()}`, 404],
    ['GET', `/v1/artifacts/${randomUUID()}/content`, 404],
    ['GET', '/v1/artifacts/x/content', 400],
    ['GET', `/v1/turns/${randomUUID()}/artifacts`, 404],
    ['DELETE', `/v1/schedules/${randomUUID()}`, 404],
    ['GET', '/v1/turns/%E0%A4%A', 400],
    ['GET', '/v1/conversations/%E0%A4%A', 400],
    ['PUT', '/v1/conversations/%E0%A4%A/queue', 400],
  ])('%s %s is the problem %i', async (method, path, status) => {
    expect((await problem(await call(method, path))).status).toBe(status);
  });

  it.each([
    ['no JSON', '{"a"', 400, 'body'],
    ['a list', '[]', 400, 'body'],
    ['an unknown field', { ...workflow(), extra: 1 }, 400, 'body.extra'],
    ['a bad step', { ...workflow(), steps: [{ type: 'CLI', args: {} }] }, 400, 'body.steps[0].args.cmd'],
    ['an action nobody executes', { ...workflow(), steps: [{ type: 'Pay', args: {} }] }, 400, 'body.steps[0].type'],
    ['a NUL', workflow('\0'), 400, 'body.steps[0].args.args[0]'],
    ['JSON nested too deep', `${'['.repeat(65)}${']'.repeat(65)}`, 400, 'body'],
    ['JSON nested far too deep', '['.repeat(500_000), 400, 'body'],
    ['more than 1 MiB', JSON.stringify(workflow('x'.repeat(1024 * 1024))), 413, undefined],
  ])('refuses a workflow of %s', async (_, body, status, field) => {
    const answer = await problem(await call('POST', '/v1/workflows', { body }));
    expect([answer.status, answer.errors?.[0]?.field]).toEqual([status, field]);
    if (field !== undefined)
      expect(answer.errors?.[0]).toEqual({ field, rule: expect.any(String), message: expect.any(String) });
  });

  it('refuses bodies of other types and encodings, and keys that are too long', async () => {
    const body = JSON.stringify(workflow());
    const post = (headers: Record<string, string>) => call('POST', '/v1/workflows', { body, headers });
    expect((await post({ 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post({ 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await problem(await post({ 'idempotency-key': 'x'.repeat(256) }))).errors?.[0]?.field).toBe(
      'Idempotency-Key',
    );
    expect((await post({ 'idempotency-key': 'x'.repeat(255) })).status).toBe(202);
    expect((await post({ 'content-type': 'application/json; charset=utf-8' })).status).toBe(202);
  });

  it('reads no body of a stranger', async () => {
    const { port } = new URL(edge.httpUrl);
    const socket = connect(Number(port), '127.0.0.1');
    // A megabyte is announced and never sent: the answer does not wait for it.
    socket.write(
      'POST /v1/workflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{',
    );
    const text = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  it('wants a valid token that is bound to no device, with the scope of the route', async () => {
    for (const bad of ['', 'x', `${token}x`]) {
      const response = await call('GET', '/v1/turns', { token: bad });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      await problem(response);
    }
    const bound = await edge.issue({ deviceId: 'dev_x' });
    expect((await problem(await call('GET', '/v1/turns', { token: bound }))).code).toBe('forbidden');
    const reader = await edge.issue({ role: 'client', scopes: ['operator.read'] });
    expect((await call('GET', '/v1/turns', { token: reader })).status).toBe(200);
    for (const [method, path] of [
      ['POST', '/v1/workflows'],
      ['POST', `/v1/turns/${randomUUID()}/cancel`],
      ['POST', `/v1/turns/${randomUUID()}/redrive`],
      ['POST', `/v1/turns/${randomUUID()}/resolve`],
      ['GET', '/v1/tokens'],
      ['POST', '/v1/tokens'],
      ['DELETE', `/v1/tokens/${randomUUID()}`],
      ['POST', '/v1/schedules'],
      ['DELETE', `/v1/schedules/${randomUUID()}`],
    ] as const) {
      expect([path, (await call(method, path, { token: reader })).status]).toEqual([path, 403]);
    }
  });

  it('issues tokens that work and shows each once, and nobody issues more than they hold', async () => {
    const wish = { role: 'client', scopes: ['operator.read'], label: 'phone', expires_at: '2100-01-01T00:00:00Z' };
    const made = await json(call('POST', '/v1/tokens', { body: wish }));
    expect(made).toMatchObject({
      role: 'client',
      scopes: ['operator.read'],
      label: 'phone',
      expires_at: '2100-01-01T00:00:00.000Z',
    });
    const client = await TestClient.connect(edge.socketUrl, made.token);
    expect((await client.request('turn.list')).ok).toBe(true);
    const listed = await (await call('GET', '/v1/tokens')).text();
    expect(listed).toContain(made.token_id);
    expect(listed).not.toContain(made.token.split('.').at(-1));

    const manager = await edge.issue({ role: 'client', scopes: ['operator.admin', 'operator.read'] });
    const issue = (body: object) => call('POST', '/v1/tokens', { body, token: manager });
    expect((await issue({ role: 'client', scopes: ['operator.read'] })).status).toBe(201);
    expect((await issue({ role: 'client', scopes: ['operator.write'] })).status).toBe(403);
    expect((await issue({ role: 'admin' })).status).toBe(403);

    expect((await call('DELETE', `/v1/tokens/${made.token_id}`)).status).toBe(204);
    expect((await call('DELETE', `/v1/tokens/${made.token_id}`)).status).toBe(404);
    expect((await call('GET', '/v1/turns', { token: made.token })).status).toBe(401);
    client.send({ request_id: 'r', type: 'ping', payload: {} });
    expect(await client.closed).toMatchObject({ code: 4004 });
  });

  it('hands schedules to those who keep them', async () => {
    const body = {
      kind: 'cron',
      cadence: { type: 'cron', expression: '* * * * *', timezone: 'UTC' },
      execution: { kind: 'steps', conversation_key: 'agent:default:main', steps: [step()] },
    };
    const made = await json(call('POST', '/v1/schedules', { body }));
    expect(made).toMatchObject({ ...body, enabled: true });
    expect((await json(call('GET', '/v1/schedules'))).schedules).toEqual([made]);
    expect(
      (await problem(await call('POST', '/v1/schedules', { body: { ...body, kind: 'daily' } }))).errors?.[0]?.field,
    ).toBe('body.kind');
    expect((await call('DELETE', `/v1/schedules/${made.schedule_id}`)).status).toBe(204);
  });

  it("carries the request's id to the answer and to the log, and counts what it answered", async () => {
    const response = await call('GET', '/v1/turns', { headers: { 'x-request-id': 'mine-1' } });
    expect(response.headers.get('x-request-id')).toBe('mine-1');
    const odd = await call('GET', '/v1/turns', { headers: { 'x-request-id': 'a b' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const metrics = await (await fetch(`${edge.httpUrl}/metrics`)).text();
    expect(metrics).toMatch(/tyrum_gateway_requests_total\{door="http",type="GET \/v1\/turns",outcome="200"\} \d+/);
    expect(metrics).not.toContain(DEFAULT_TENANT_ID);
  });
});
