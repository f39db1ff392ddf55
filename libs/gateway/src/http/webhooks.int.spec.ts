import { randomBytes, randomUUID } from 'node:crypto';
import { startTestEdge, TestClient, type TestEdge } from '../testing';
import { webhookSignature } from '../operations/webhook-secrets';

const env = { TYRUM_WEBHOOK_KEY: randomBytes(32).toString('base64url') };
const wish = {
  label: 'deploys',
  execution: {
    kind: 'steps',
    conversation_key: 'agent:default:hooks:dm:a',
    steps: [{ type: 'CLI', args: { cmd: 'echo', args: ['x'] } }],
  },
};

interface Made {
  readonly webhook: { readonly trigger_id: string; readonly path: string };
  readonly secret: string;
}

interface Call {
  readonly secret?: string;
  readonly timestamp?: string;
  readonly nonce?: string;
  readonly signature?: string;
  readonly signed?: string;
}

describe.each(['sqlite', 'postgres'] as const)('webhooks on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  let made: Made;
  beforeAll(async () => {
    edge = await startTestEdge({ database, env });
    token = await edge.issue();
    made = (await (await api('POST', '/v1/webhooks', wish)).json()) as Made;
  });
  afterAll(() => edge.stop());

  const api = (method: string, path: string, body?: object, key = randomUUID() as string) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const nowS = (offset = 0): string => String(Math.floor(Date.now() / 1_000) + offset);

  /** Calls a webhook as its sender would, but for what `wrong` says. */
  const call = (body: string, wrong: Call = {}, path = made.webhook.path, at = edge) => {
    const { secret = made.secret, timestamp = nowS(), nonce = randomUUID(), signed = body } = wrong;
    const signature = wrong.signature ?? webhookSignature(secret, { timestamp, nonce, body: Buffer.from(signed) });
    const headers = { 'tyrum-timestamp': timestamp, 'tyrum-nonce': nonce, 'tyrum-signature': signature };
    return fetch(`${at.httpUrl}${path}`, { method: 'POST', headers, body });
  };
  const turnsFired = async (): Promise<number> => {
    const listed = (await (await api('GET', '/v1/turns?limit=200')).json()) as { turns: { trigger_kind: string }[] };
    return listed.turns.filter(({ trigger_kind }) => trigger_kind === 'webhook').length;
  };

  it('fire once for each nonce, at any edge, and 422 for the same nonce with another body', async () => {
    const before = await turnsFired();
    const other = await startTestEdge({ database: { url: edge.databaseUrl }, env });
    try {
      const nonce = randomUUID();
      const calls = Array.from({ length: 10 }, (_, i) =>
        call('{"a":1}', { nonce }, made.webhook.path, i % 2 ? edge : other),
      );
      const answers = await Promise.all(calls);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
      expect((await call('{"a":2}', { nonce })).status).toBe(422);
    } finally {
      await other.stop();
    }
    expect(await turnsFired()).toBe(before + 1);
    expect((await call('{"a":1}')).status).toBe(202);
    expect(await turnsFired()).toBe(before + 2);
  });

  it('are limited in their calls, of which their tenant is told under no token', async () => {
    const limited = await startTestEdge({ database: { url: edge.databaseUrl }, env, limits: { perToken: 8 } });
    const watcher = await TestClient.connect(edge.socketUrl, token);
    try {
      // More than two windows would let in: the clock may turn one in between.
      const statuses: number[] = [];
      for (let i = 0; i < 24; i += 1) statuses.push((await call('{}', {}, made.webhook.path, limited)).status);
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(8);
      const { payload } = await watcher.event('authz.denied');
      expect(payload).toEqual({ reason: 'rate', subject: 'trigger', door: 'webhook', count: expect.any(Number) });
    } finally {
      await watcher.close();
      await limited.stop();
    }
  });

  it('count against their tenant’s quota', async () => {
    const set = 'update tenant set max_requests = ';
    const quota = (text: string) => edge.store.execute({ name: 'quota', postgres: set + text, sqlite: set + text });
    await quota('6');
    try {
      const statuses: number[] = [];
      for (let i = 0; i < 18; i += 1) statuses.push((await call('{}')).status);
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(6);
    } finally {
      await quota('null');
    }
  });

  it('say the same to every call that is not as it must be, run nothing, and tell their tenant', async () => {
    const before = await turnsFired();
    const watcher = await TestClient.connect(edge.socketUrl, token);
    const body = '{"a":1}';
    const bad: [string, Promise<Response>][] = [
      ['another secret', call(body, { secret: 'x' })],
      ['another body', call(body, { signed: '{"a":2}' })],
      ['no signature', call(body, { signature: '' })],
      ['too old', call(body, { timestamp: nowS(-400) })],
      ['from the future', call(body, { timestamp: nowS(400) })],
      ['no time', call(body, { timestamp: 'now' })],
      ['a nonce with a space', call(body, { nonce: 'a b' })],
      ['no trigger', call(body, {}, `/webhooks/${randomUUID()}`)],
      ['no id', call(body, {}, '/webhooks/x')],
    ];
    const told = new Set<string>();
    for (const [name, answer] of bad) {
      const { status, ...rest } = (await (await answer).json()) as { status: number; detail: string };
      expect([name, status]).toEqual([name, 401]);
      told.add(rest.detail);
    }
    expect(told.size).toBe(1);
    const reasons = ['signature', 'timestamp', 'unknown_trigger'];
    await Promise.all(
      reasons.map((reason) => watcher.event('auth.failed', ({ payload }) => payload.reason === reason)),
    );
    await watcher.close();
    expect(await turnsFired()).toBe(before);
    expect((await call('x'.repeat(300_000))).status).toBe(413);
    expect((await call(body, { timestamp: nowS(-200) })).status).toBe(202);
  });

  it('give their steps what they refer to of the call, and refuse a call that has it not', async () => {
    const steps = [{ type: 'CLI', args: { cmd: 'echo', args: ['$trigger.body/ref', '$trigger.headers.x-event'] } }];
    const execution = { ...wish.execution, conversation_key: 'agent:default:hooks:dm:refs', steps };
    const hook = (await (await api('POST', '/v1/webhooks', { ...wish, execution })).json()) as Made;
    const send = (body: string, headers: Record<string, string>) => {
      const signed = { timestamp: nowS(), nonce: randomUUID(), body: Buffer.from(body) };
      const own = {
        'tyrum-timestamp': signed.timestamp,
        'tyrum-nonce': signed.nonce,
        'tyrum-signature': webhookSignature(hook.secret, signed),
      };
      return fetch(`${edge.httpUrl}${hook.webhook.path}`, { method: 'POST', headers: { ...own, ...headers }, body });
    };
    const fired = await send('{"ref":"main; rm -rf /"}', { 'x-event': 'push' });
    expect(fired.status).toBe(202);
    const { turn_id } = (await fired.json()) as { turn_id: string };
    const turn = (await (await api('GET', `/v1/turns/${turn_id}`)).json()) as { steps: { action: object }[] };
    expect(turn.steps[0]?.action).toMatchObject({ args: { cmd: 'echo', args: ['main; rm -rf /', 'push'] } });
    const before = await turnsFired();
    const lacking = await send('{"other":1}', {});
    expect(lacking.status).toBe(400);
    expect(await lacking.json()).toMatchObject({
      code: 'contract_error',
      errors: [{ field: 'steps[0].args.args[0]' }, { field: 'steps[0].args.args[1]', rule: 'triggerReference' }],
    });
    expect(await turnsFired()).toBe(before);
    const program = [{ type: 'CLI', args: { cmd: 'sh', args: ['-c', '$trigger.body'] } }];
    const refused = await api('POST', '/v1/webhooks', { ...wish, execution: { ...execution, steps: program } });
    expect(await refused.json()).toMatchObject({
      status: 400,
      errors: [{ field: 'body.execution.steps[0].args.args[1]' }],
    });
  });

  it('keep their secret nowhere, show it once, and renew it', async () => {
    const key = randomUUID();
    const [first, copy] = [await api('POST', '/v1/webhooks', wish, key), await api('POST', '/v1/webhooks', wish, key)];
    const hook = (await first.json()) as Made;
    expect(await copy.json()).toEqual(hook);
    expect(await (await api('GET', '/v1/webhooks')).text()).not.toContain(hook.secret);
    for (const table of ['webhook_trigger', 'idempotency_record', 'outbox', 'turn']) {
      const query = `select * from ${table}`;
      const rows = await edge.store.execute({ name: `all-${table}`, postgres: query, sqlite: query });
      expect(JSON.stringify(rows)).not.toContain(hook.secret);
    }
    const { path, trigger_id } = hook.webhook;
    const renewed = (await (await api('POST', `/v1/webhooks/${trigger_id}/renew`)).json()) as Made;
    expect(renewed.secret).not.toBe(hook.secret);
    expect((await call('x', { secret: hook.secret }, path)).status).toBe(401);
    expect((await call('x', { secret: renewed.secret }, path)).status).toBe(202);
    expect((await api('DELETE', `/v1/webhooks/${trigger_id}`)).status).toBe(204);
    expect((await call('x', { secret: renewed.secret }, path)).status).toBe(401);
    expect(JSON.stringify(edge.logs)).not.toContain(hook.secret);
  });

  it('are not served where no key is set, and no more often than they may be', async () => {
    const limited = await startTestEdge({ database: { url: edge.databaseUrl }, env, limits: { perToken: 2 } });
    const bare = await startTestEdge({ database: { url: edge.databaseUrl } });
    try {
      const statuses: number[] = [];
      for (let i = 0; i < 8; i += 1) statuses.push((await call('x', {}, made.webhook.path, limited)).status);
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(4);
      expect((await call('x', {}, made.webhook.path, bare)).status).toBe(401);
    } finally {
      await limited.stop();
      await bare.stop();
    }
  });
});
