import { randomUUID } from 'node:crypto';
import { appendEvents, type EventScope } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

describe.each(['sqlite', 'postgres'] as const)('events on %s', (database) => {
  let edge: TestEdge;
  let admin: string;
  const clients: TestClient[] = [];
  beforeAll(async () => {
    edge = await startTestEdge({ database, sendBufferBytes: 256 * 1024 });
    admin = await edge.issue();
  });
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));
  afterAll(() => edge.stop());

  const connect = async (
    ...args: Parameters<typeof TestClient.connect> extends [string, ...infer Rest] ? Rest : never
  ) => {
    const client = await TestClient.connect(edge.socketUrl, ...args);
    clients.push(client);
    return client;
  };

  /** Commits events and tells the edge to look. */
  const commit = async (events: { scope: EventScope; tenantId?: string; payload?: object }[]): Promise<string[]> => {
    const rows = events.map(({ scope, tenantId = DEFAULT_TENANT_ID, payload = { reason: 'test' } }) => ({
      eventId: randomUUID(),
      tenantId,
      type: 'auth.failed',
      scope,
      payload,
      occurredAt: 1_700_000_000_000,
    }));
    await edge.store.transaction((tx) => appendEvents(tx, rows));
    edge.backplane.publish('outbox');
    return rows.map(({ eventId }) => eventId);
  };
  const heard = (client: TestClient, ids: readonly string[]): boolean[] =>
    ids.map((id) => client.frames.some(({ event_id }) => event_id === id));

  it('reach whom their scope says', async () => {
    const tenantId = await edge.newTenant();
    const nodeDevice = new TestDevice();
    const reader = await connect(await edge.issue({ role: 'client', scopes: ['operator.read'] }));
    const blind = await connect(await edge.issue({ role: 'client', scopes: ['operator.write'] }));
    const node = await connect(admin, { role: 'node', device: nodeDevice });
    const stranger = await connect(await edge.issue({ tenantId }));
    const ids = await commit([
      { scope: { kind: 'global' } },
      { scope: { kind: 'agent', id: 'default' } },
      { scope: { kind: 'conversation', id: 'agent:default:main' } },
      { scope: { kind: 'turn', id: randomUUID() } },
      { scope: { kind: 'client', id: reader.clientId } },
      { scope: { kind: 'client', id: blind.clientId } },
      { scope: { kind: 'client', id: 'nobody' } },
      { scope: { kind: 'node', id: nodeDevice.deviceId } },
      { scope: { kind: 'node', id: 'nobody' } },
      { scope: { kind: 'global' }, tenantId },
      { scope: { kind: 'node', id: nodeDevice.deviceId }, tenantId },
      { scope: { kind: 'client', id: reader.clientId }, tenantId },
      { scope: { kind: 'global' } },
    ]);
    const last = ids.at(-1) as string;
    await reader.frame(({ event_id }) => event_id === last);
    // Sent before the last one, on connections of the same process: a pong after it proves that they had their chance.
    await Promise.all([blind, node, stranger].map((client) => client.request('ping')));
    const none = ids.map(() => false);
    const only = (...places: number[]) => none.map((_, i) => places.includes(i));
    expect(heard(reader, ids)).toEqual(only(0, 1, 2, 3, 4, 12));
    expect(heard(blind, ids)).toEqual(only(5));
    expect(heard(node, ids)).toEqual(only(7));
    expect(heard(stranger, ids)).toEqual(only(9));
    const event = reader.frames.find(({ event_id }) => event_id === ids[2]);
    expect(event).toEqual({
      event_id: ids[2],
      type: 'auth.failed',
      occurred_at: '2023-11-14T22:13:20.000Z',
      scope: { kind: 'conversation', conversation_key: 'agent:default:main' },
      payload: { reason: 'test' },
    });
  });

  it('tell of a workflow in the order of its conversation', async () => {
    const client = await connect(admin);
    const conversation_key = `agent:default:order:dm:${randomUUID()}`;
    const step = { type: 'CLI', args: { cmd: 'true' } };
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      const { result } = await client.request('workflow.start', { conversation_key, steps: [step] });
      ids.push(result.workflow_run_id);
    }
    await client.event('turn.queued', ({ payload }) => payload.turn_id === ids[4]);
    const types = client
      .events()
      .filter((e) => e.payload.conversation?.conversation_id === conversation_key || ids.includes(e.payload.turn_id));
    expect(types[0]?.type).toBe('conversation.created');
    expect(types.slice(1).map(({ payload }) => payload.turn_id)).toEqual(ids);
    expect(types.every((event) => !('cursor' in event))).toBe(true);
  });

  it('give a resumed peer what it missed, in order and once more at the most, and tell it of a gap', async () => {
    const device = new TestDevice();
    const fresh = await connect(admin, { device, resumeCursor: 'not-a-cursor' });
    expect(fresh.hello).toMatchObject({
      cursor: expect.any(String),
      epoch: expect.any(String),
      edge_id: expect.any(String),
    });
    const [seen = ''] = await commit([{ scope: { kind: 'global' } }]);
    const { cursor } = await fresh.frame(({ event_id }) => event_id === seen);
    await fresh.close();

    const many = Array.from({ length: 1_200 }, (_, i) => ({
      scope: { kind: 'global' } as const,
      payload: { reason: String(i) },
    }));
    const missed = await commit(many);
    const resumed = await connect(admin, { device, resumeCursor: cursor });
    expect(resumed.hello.cursor).toBe(cursor);
    const live = await commit([{ scope: { kind: 'global' } }]);
    await resumed.frame(({ event_id }) => event_id === live[0]);
    const ids = [...new Set(resumed.events().map(({ event_id }) => event_id))];
    expect(ids).toEqual([...missed, ...live]);
    expect(resumed.events().every((event) => typeof event.cursor === 'string')).toBe(true);

    const elsewhere = Buffer.from(`${'0'.repeat(32)}.0.0`).toString('base64url');
    const gapped = await connect(admin, { resumeCursor: elsewhere });
    expect(gapped.hello.cursor).not.toBe(elsewhere);
  });

  it('are replayed by pages to those who ask', async () => {
    const client = await connect(admin, { resumeCursor: 'head' });
    const start: string = client.hello.cursor;
    const ids = await commit([1, 2, 3].map(() => ({ scope: { kind: 'global' } as const })));
    await client.frame(({ event_id }) => event_id === ids[2]);
    const first = (await client.request('events.replay', { cursor: start, limit: 2 })).result;
    const second = (await client.request('events.replay', { cursor: first.cursor, limit: 2 })).result;
    expect([...first.events, ...second.events].map((event) => event.event_id)).toEqual(ids);
    expect([first.gap, second.gap]).toEqual([false, false]);
    const elsewhere = Buffer.from(`${'0'.repeat(32)}.0.0`).toString('base64url');
    expect((await client.request('events.replay', { cursor: elsewhere })).result).toMatchObject({
      events: [],
      gap: true,
    });
    expect((await client.request('events.replay', { cursor: 'x' })).error?.code).toBe('contract_error');
  });

  it('tell who is typing what, from the pieces of a reply', async () => {
    const client = await connect(admin);
    const stream_id = randomUUID();
    const conversation_id = 'agent:default:main';
    const piece = { tenant_id: DEFAULT_TENANT_ID, agent_key: 'default', conversation_id, stream_id };
    const chunks = [{ type: 'start' }, { type: 'text-delta', id: 't', delta: 'hi' }, { type: 'text-delta', delta: 1 }];
    for (const chunk of chunks) edge.backplane.publish('stream', JSON.stringify({ ...piece, stage: 'chunk', chunk }));
    edge.backplane.publish('stream', JSON.stringify({ ...piece, stage: 'done' }));
    await client.event('typing.stopped');
    const told = client.events().filter(({ type }) => type !== 'chat.ui-message.stream');
    expect(told.map(({ type, payload }) => [type, payload])).toEqual([
      ['typing.started', { conversation_id }],
      ['message.delta', { conversation_id, message_id: stream_id, role: 'assistant', delta: 'hi', turn_id: stream_id }],
      ['typing.stopped', { conversation_id }],
    ]);
    const stream = client.events().filter(({ type }) => type === 'chat.ui-message.stream');
    expect(stream.map(({ payload }) => Object.keys(payload))).toEqual([
      ['stream_id', 'stage', 'chunk'],
      ['stream_id', 'stage', 'chunk'],
      ['stream_id', 'stage', 'chunk'],
      ['stream_id', 'stage'],
    ]);
  });

  it('carry the pieces of a reply as they come, and nothing malformed', async () => {
    const client = await connect(admin);
    const stranger = await connect(await edge.issue({ tenantId: await edge.newTenant() }));
    const stream_id = randomUUID();
    const piece = { tenant_id: DEFAULT_TENANT_ID, agent_key: 'default', stream_id };
    edge.backplane.publish('stream', 'garbage');
    edge.backplane.publish(
      'stream',
      JSON.stringify({ ...piece, stage: 'chunk', chunk: { type: 'text-delta', delta: 'hi' } }),
    );
    edge.backplane.publish('stream', JSON.stringify({ ...piece, stage: 'done' }));
    const done = await client.event('chat.ui-message.stream', ({ payload }) => payload.stage === 'done');
    expect(client.events().map(({ payload }) => payload)).toEqual([
      { stream_id, stage: 'chunk', chunk: { type: 'text-delta', delta: 'hi' } },
      { stream_id, stage: 'done' },
    ]);
    expect(done.scope).toEqual({ kind: 'agent', agent_id: 'default' });
    await stranger.request('ping');
    expect(stranger.events()).toEqual([]);
  });

  it('close a peer that does not read with 1013, and reach the others', async () => {
    const slow = await TestClient.connect(edge.socketUrl, admin);
    const quick = await connect(admin);
    slow.socket.pause();
    const blob = 'x'.repeat(64 * 1024);
    let last = '';
    for (let i = 0; i < 30; i += 1) {
      [, , , last = ''] = await commit(
        [1, 2, 3, 4].map(() => ({ scope: { kind: 'global' } as const, payload: { reason: blob } })),
      );
      await quick.frame(({ event_id }) => event_id === last);
    }
    slow.socket.resume();
    expect(await slow.closed).toMatchObject({ code: 1013 });
    expect(slow.frames.some(({ event_id }) => event_id === last)).toBe(false);
    await eventually(async () => expect((await quick.request('ping')).ok).toBe(true));
  });
});
