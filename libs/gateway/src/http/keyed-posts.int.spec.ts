import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { SchedulingModule } from '@tyrum/scheduling/nest';
import { Schedules } from '@tyrum/scheduling';
import { SCHEDULES_PORT } from '../ports';
import { startTestEdge, type TestEdge } from '../testing';

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
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(path, body, key)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get('idempotency-replayed') === 'true')).toHaveLength(9);
    expect((await post(path, other, key)).status).toBe(422);
    const [list] = Object.values(await get(`${path}${path === '/v1/conversations' ? '?agent_key=keyed' : ''}`));
    const made = (entry: { label?: string }) => path !== '/v1/tokens' || entry.label === 'once';
    expect(list?.filter(made)).toHaveLength(1);
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
