import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { SchedulingModule } from '@tyrum/scheduling/nest';
import { Schedules } from '@tyrum/scheduling';
import { SCHEDULES_PORT } from '../ports';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, type TestEdge } from '../testing';

@Module({
  imports: [SchedulingModule],
  providers: [{ provide: SCHEDULES_PORT, useExisting: Schedules }],
  exports: [SCHEDULES_PORT],
})
class SchedulesOverHttp {}

const schedule = {
  kind: 'heartbeat',
  cadence: { type: 'interval', interval_ms: 60_000 },
  execution: {
    kind: 'steps',
    conversation_key: 'agent:default:main',
    steps: [{ type: 'CLI', args: { cmd: 'echo', args: ['x'] } }],
  },
};

describe.each(['sqlite', 'postgres'] as const)('Idempotency-Key on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  beforeAll(async () => {
    edge = await startTestEdge({ database, imports: [SchedulesOverHttp] });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  const post = (path: string, body: object, key: string, as = token) =>
    fetch(`${edge.httpUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
  const get = async (path: string): Promise<Record<string, object[]>> =>
    (await (await fetch(`${edge.httpUrl}${path}`, { headers: { authorization: `Bearer ${token}` } })).json()) as never;

  it.each([
    ['/v1/tokens', { role: 'client', scopes: ['operator.read'], label: 'once' }, { role: 'node' }],
    ['/v1/schedules', schedule, { ...schedule, enabled: false }],
    ['/v1/conversations', { agent_key: 'keyed' }, { agent_key: 'other' }],
  ])('makes one effect and one answer of copies of POST %s, and 422 of another payload', async (path, body, other) => {
    const key = randomUUID();
    const copies = await Promise.all(Array.from({ length: 50 }, () => post(path, body, key)));
    const answers = copies.filter(({ status }) => status === 201);
    expect(new Set(copies.map(({ status }) => status))).toEqual(
      new Set(answers.length === copies.length ? [201] : [201, 409]),
    );
    expect(answers.filter((answer) => answer.headers.get('idempotency-replayed') === null)).toHaveLength(1);
    const late = await post(path, body, key);
    expect([late.status, late.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(new Set(await Promise.all([...answers, late].map((answer) => answer.text()))).size).toBe(1);
    expect((await post(path, other, key)).status).toBe(422);
    const [list] = Object.values(await get(`${path}${path === '/v1/conversations' ? '?agent_key=keyed' : ''}`));
    const made = (entry: { label?: string }) => path !== '/v1/tokens' || entry.label === 'once';
    expect(list?.filter(made)).toHaveLength(1);
  });

  it('answers 409 with Retry-After while the first is being carried out, and its answer afterwards', async () => {
    const conversationKey = `agent:default:x:dm:${randomUUID()}`;
    const workflow = (cmd: string) => ({ conversation_key: conversationKey, steps: [{ type: 'CLI', args: { cmd } }] });
    const [key, other] = [randomUUID(), await edge.issue()];
    let letGo = (): void => undefined;
    // Whoever holds the conversation keeps the first request from its commit.
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let isHeld = (): void => undefined;
    const holding = new Promise<void>((resolve) => (isHeld = resolve));
    const holder = edge.store.transaction(async (tx) => {
      await tx.lockConversations([{ tenantId: DEFAULT_TENANT_ID, conversationKey }]);
      await tx.query({
        name: 'write',
        postgres: `insert into lease_history (kind, name, token, owner, reason, at) values ('x', 'x', 1, 'x', 'acquired', 0)`,
        sqlite: `insert into lease_history (kind, name, token, owner, reason, at) values ('x', 'x', 1, 'x', 'acquired', 0)`,
      });
      isHeld();
      await held;
    });
    await holding;
    const first = post('/v1/workflows', workflow('a'), key);
    const copy = await eventually(async () => {
      const answer = await Promise.race([post('/v1/workflows', workflow('a'), key), first]);
      expect(answer.status).toBe(409);
      return answer;
    });
    expect(copy.headers.get('content-type')).toContain('application/problem+json');
    expect(copy.headers.get('retry-after')).toBe('1');
    expect(await copy.json()).toMatchObject({ status: 409, code: 'conflict' });
    expect((await post('/v1/workflows', workflow('b'), key)).status).toBe(422);
    // Another's key of the same spelling is another key, which is why this one waits like the first.
    const others = post('/v1/workflows', workflow('a'), key, other);
    letGo();
    await holder;
    const started = (await (await first).json()) as { workflow_run_id: string };
    expect((await first).status).toBe(202);
    const again = await post('/v1/workflows', workflow('a'), key);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, 'true']);
    expect(await again.json()).toEqual(started);
    expect((await (await others).json()) as object).not.toEqual(started);
  });

  it('waits for the first over the WebSocket, and answers all copies the same', async () => {
    const client = await TestClient.connect(edge.socketUrl, token);
    const payload = { conversation_key: `agent:default:x:dm:${randomUUID()}`, steps: schedule.execution.steps };
    const id = randomUUID();
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.request('workflow.start', payload, id)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ ok: true });
    await client.close();
  });

  it("keeps a token's secret where the caller's token alone can open it", async () => {
    const key = randomUUID();
    const made = (await (await post('/v1/tokens', { role: 'node' }, key)).json()) as { token: string };
    const secret = made.token.split('.').at(-1) as string;
    const rows = await edge.store.execute<{ response: string }>({
      name: 'stored-answers',
      postgres: 'select response from idempotency_record',
      sqlite: 'select response from idempotency_record',
    });
    expect(rows.some(({ response }) => response.includes('sealed'))).toBe(true);
    expect(rows.some(({ response }) => response.includes(secret))).toBe(false);
    // Under another token the key is another key: a second node's token, not the first one's again.
    const other = (await (await post('/v1/tokens', { role: 'node' }, key, await edge.issue())).json()) as typeof made;
    expect(other.token).not.toBe(made.token);
  });

  it('pages through conversations whose cursors are longer than an event cursor', async () => {
    const agent = '界'.repeat(200);
    for (const peer of ['a', 'b']) {
      const conversation_key = `agent:${agent}:dm:${peer.repeat(250)}`;
      await post('/v1/workflows', { conversation_key, steps: schedule.execution.steps }, randomUUID());
    }
    const query = `agent_key=${encodeURIComponent(agent)}&limit=1`;
    const first = (await get(`/v1/conversations?${query}`)) as unknown as {
      conversations: { conversation_id: string }[];
      next_cursor: string;
    };
    expect(first.next_cursor.length).toBeGreaterThan(512);
    const second = await get(`/v1/conversations?${query}&cursor=${first.next_cursor}`);
    expect(second.conversations).toHaveLength(1);
    expect(second.conversations?.[0]).not.toMatchObject({ conversation_id: first.conversations[0]?.conversation_id });
  });

  it('replays what a conversation was answered after it was deleted', async () => {
    const body = {
      trigger: 'submit-message',
      messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
    };
    const client = await TestClient.connect(edge.socketUrl, token);
    const { conversation_id } = (await client.request('conversation.create', {})).result.conversation;
    const at = `/v1/conversations/${encodeURIComponent(conversation_id)}/messages`;
    const [key, id, cancelKey] = [randomUUID(), randomUUID(), randomUUID()];
    const sent = (await (await post(at, body, key)).json()) as { stream_id: string };
    const overSocket = { ...body, conversation_id };
    const first = await client.request('conversation.send', overSocket, id);
    await client.request('workflow.cancel', { workflow_run_id: first.result.stream_id });
    const cancelled = await post(`/v1/turns/${sent.stream_id}/cancel`, {}, cancelKey);
    expect((await client.request('conversation.delete', { conversation_id })).result).toEqual({ conversation_id });

    const again = await post(at, body, key);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, 'true']);
    expect(await again.json()).toEqual(sent);
    expect((await client.request('conversation.send', overSocket, id)).result).toEqual(first.result);
    const cancelledAgain = await post(`/v1/turns/${sent.stream_id}/cancel`, {}, cancelKey);
    expect([cancelledAgain.status, await cancelledAgain.json()]).toEqual([200, await cancelled.json()]);
    expect((await post(at, { ...body, trigger: 'regenerate-message' }, key)).status).toBe(422);
    expect((await post(at, body, randomUUID())).status).toBe(404);
    expect((await client.request('conversation.send', overSocket)).error?.code).toBe('not_found');
    await client.close();
  });

  it('sends and deletes over HTTP as over the WebSocket', async () => {
    const made = (await (await post('/v1/conversations', {}, randomUUID())).json()) as {
      conversation: { conversation_id: string };
    };
    const at = `/v1/conversations/${encodeURIComponent(made.conversation.conversation_id)}`;
    const remove = () =>
      fetch(`${edge.httpUrl}${at}`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
    const body = {
      trigger: 'submit-message',
      messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
    };
    const key = randomUUID();
    const [sent, copy] = [await post(`${at}/messages`, body, key), await post(`${at}/messages`, body, key)];
    expect([sent.status, copy.headers.get('idempotency-replayed')]).toEqual([202, 'true']);
    expect(await sent.json()).toEqual(await copy.json());
    expect((await remove()).status).toBe(409);
    const { turns } = (await get('/v1/turns?limit=1')) as unknown as { turns: { turn: { turn_id: string } }[] };
    expect((await post(`/v1/turns/${turns[0]?.turn.turn_id}/cancel`, {}, randomUUID())).status).toBe(200);
    // A queued chat turn ends with its cancellation, so nothing is open any more.
    expect([204, 409]).toContain((await remove()).status);
  });
});
