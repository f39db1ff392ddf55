import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { appendEvents, OutboxReader, pruneOutbox, type EventScope } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { EventStreamClient, startTestEdge, TestClient, type TestEdge } from '../testing';

const HOUR_MS = 3_600_000;

describe.each(['sqlite', 'postgres'] as const)('GET /v1/events on %s', (database) => {
  let edge: TestEdge;
  let admin: string;
  const streams: EventStreamClient[] = [];
  beforeAll(async () => {
    edge = await startTestEdge({ database, sendBufferBytes: 256 * 1024, pingIntervalMs: 100, stalledReaderMs: 1_500 });
    admin = await edge.issue();
  });
  afterEach(() => streams.splice(0).forEach((stream) => stream.close()));
  afterAll(() => edge.stop());

  const open = async (token = admin, lastEventId?: string, at = edge): Promise<EventStreamClient> => {
    const stream = await EventStreamClient.open(at.httpUrl, token, lastEventId);
    streams.push(stream);
    return stream;
  };
  type Wish = { scope?: EventScope; tenantId?: string; payload?: object; ageMs?: number };
  const commit = async (events: Wish[], at = edge): Promise<string[]> => {
    const rows = events.map(
      ({ scope = { kind: 'global' }, tenantId = DEFAULT_TENANT_ID, payload = { reason: 'test' }, ageMs = 0 }) => ({
        eventId: randomUUID(),
        tenantId,
        type: 'auth.failed',
        scope,
        payload,
        occurredAt: Date.now() - ageMs,
      }),
    );
    await at.store.transaction((tx) => appendEvents(tx, rows));
    at.backplane.publish('outbox');
    return rows.map(({ eventId }) => eventId);
  };
  const has = (id: string | undefined) => (event: { data: { event_id?: string } }) => event.data.event_id === id;
  /** Without what the edge itself tells of refusals, a second after another test was refused. */
  const ids = (stream: EventStreamClient): string[] =>
    stream.events.flatMap(({ data }) =>
      data.event_id === undefined || data.payload.door !== undefined ? [] : [data.event_id as string],
    );

  it('begins at the head, says where, and gives each event its cursor as id', async () => {
    await commit([{}]);
    const stream = await open();
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    const ready = await stream.event(({ type }) => type === 'ready');
    expect(ready.id).toBe(ready.data.cursor);
    const [id] = await commit([{ payload: { reason: 'line\nbreak' } }]);
    const event = await stream.event(has(id));
    expect(event).toMatchObject({
      type: 'auth.failed',
      data: { cursor: event.id, payload: { reason: 'line\nbreak' } },
    });
  });

  it('answers HEAD with the head alone, and the connection serves the next request', async () => {
    const headers = { authorization: `Bearer ${admin}` };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (method: string, path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const signal = AbortSignal.timeout(3_000);
        const asked = request(`${edge.httpUrl}${path}`, { method, headers, agent, signal }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        });
        asked.on('error', reject).end();
      });
    try {
      expect(await ask('HEAD', '/v1/events')).toBe(200);
      expect(await ask('GET', '/v1/session')).toBeLessThan(500);
    } finally {
      agent.destroy();
    }
  });

  it('shows what the same token would see on the WebSocket', async () => {
    const tenantId = await edge.newTenant();
    const reader = await open(await edge.issue({ role: 'client', scopes: ['operator.read'] }));
    const stranger = await open(await edge.issue({ tenantId }));
    const [ours, node, client, theirs, last] = await commit([
      { scope: { kind: 'agent', id: 'default' } },
      { scope: { kind: 'node', id: 'dev_x' } },
      { scope: { kind: 'client', id: randomUUID() } },
      { tenantId },
      {},
    ]);
    await Promise.all([reader.event(has(last)), stranger.event(has(theirs))]);
    expect([ours, node, client, theirs, last].map((id) => ids(reader).includes(id as string))).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
    expect(ids(stranger)).toEqual([theirs]);
    await expect(open(await edge.issue({ role: 'client', scopes: ['operator.write'] }))).rejects.toThrow('403');
    await expect(open('nonsense')).rejects.toThrow('401');
  });

  it('resumes after the last id with nothing missing, at another edge too', async () => {
    const before = await open();
    const [seen] = await commit([{}]);
    const { id } = await before.event(has(seen));
    before.close();
    const missed = await commit(Array.from({ length: 1_200 }, (_, i) => ({ payload: { reason: String(i) } })));
    const other = await startTestEdge({ database: { url: edge.databaseUrl } });
    try {
      for (const at of [edge, other]) {
        const stream = await open(admin, id, at);
        const live = await commit([{}], at);
        await stream.event(has(live[0]));
        expect([...new Set(ids(stream))].slice(0, missed.length)).toEqual(missed);
        expect(stream.events.some(({ type }) => type === 'gap')).toBe(false);
      }
    } finally {
      streams.splice(0).forEach((stream) => stream.close());
      await other.stop();
    }
  });

  it('says that there is a gap, and goes on after it', async () => {
    // Events go in the order they came in: what the tests before left is younger than what goes here, and in its way.
    while ((await pruneOutbox(edge.store, 0, 1_000)) > 0);
    const start = await open();
    const { id: lost } = await start.event(({ type }) => type === 'ready');
    const [old] = await commit([{ ageMs: 30 * HOUR_MS }]);
    await start.event(has(old));
    await eventually(async () => expect(await pruneOutbox(edge.store, 10 * HOUR_MS, 10_000)).toBe(1));
    for (const lastEventId of [lost, 'not-a-cursor']) {
      const stream = await open(admin, lastEventId);
      const gap = await stream.event(({ type }) => type === 'gap');
      expect(gap.id).toBe(gap.data.cursor);
      const [next] = await commit([{}]);
      await stream.event(has(next));
      const again = await open(admin, gap.id);
      await again.event(has(next));
      expect(again.events[0]?.type).toBe('ready');
    }
  });

  it('tells the streams and the sockets it has of a gap when retention overtakes the edge itself', async () => {
    const stream = await open();
    const socket = await TestClient.connect(edge.socketUrl, admin);
    const [last] = await commit([{}]);
    await stream.event(has(last));
    // Once, as if the rows after its place were gone before it came to them.
    const read = OutboxReader.prototype.readAfter;
    const once = jest.spyOn(OutboxReader.prototype, 'readAfter').mockImplementationOnce(async function (
      this: OutboxReader,
      ...args
    ) {
      return { ...(await read.apply(this, args)), gap: true };
    });
    edge.backplane.publish('outbox');
    await stream.event(({ type }) => type === 'gap');
    expect(await socket.closed).toMatchObject({ code: 1013 });
    once.mockRestore();
    const [next] = await commit([{}]);
    await stream.event(has(next));
  });

  it('says that there is a gap when retention overtakes a reader that catches up', async () => {
    const start = await open();
    const { id } = await start.event(({ type }) => type === 'ready');
    const [first] = await commit([{}]);
    await start.event(has(first));
    const read = OutboxReader.prototype.readAfter;
    const spy = jest.spyOn(OutboxReader.prototype, 'readAfter').mockImplementation(async function (
      this: OutboxReader,
      ...args
    ) {
      const page = await read.apply(this, args);
      // The one page of the catching up; resuming asks for one row, and the tail for more.
      return { ...page, gap: args[1] === 100 };
    });
    const stream = await open(admin, id);
    await stream.event(has(first));
    spy.mockRestore();
    expect(stream.events.slice(0, 3).map(({ type }) => type)).toEqual(['ready', 'gap', 'auth.failed']);
  });

  it('cuts a reader that does not read, which then misses nothing, and serves the others', async () => {
    const [slow, quick] = [await open(), await open()];
    const { id } = await slow.event(({ type }) => type === 'ready');
    slow.response.pause();
    const all: string[] = [];
    // More than the socket buffers of both sides hold.
    for (let i = 0; i < 100; i += 1) {
      all.push(...(await commit([1, 2].map(() => ({ payload: { reason: 'x'.repeat(100 * 1024) } })))));
      await quick.event(has(all.at(-1)));
    }
    slow.response.resume();
    await slow.closed;
    expect(ids(slow).length).toBeLessThan(all.length);
    const last = slow.events.filter((event) => event.id !== undefined).at(-1)?.id ?? id;
    const resumed = await open(admin, last);
    await resumed.event(has(all.at(-1)));
    expect([...new Set([...ids(slow), ...ids(resumed)])]).toEqual(all);
    expect(ids(quick)).toEqual(all);
  });

  it('cuts a reader that resumes and reads nothing', async () => {
    const start = await open();
    const { id } = await start.event(({ type }) => type === 'ready');
    start.close();
    for (let i = 0; i < 10; i += 1) {
      await commit(Array.from({ length: 10 }, () => ({ payload: { reason: 'x'.repeat(100 * 1024) } })));
    }
    const socket = connect(Number(new URL(edge.httpUrl).port), '127.0.0.1');
    const cut = new Promise((resolve) => socket.once('close', () => resolve('cut')));
    const head = ['GET /v1/events HTTP/1.1', 'Host: edge', `Authorization: Bearer ${admin}`, `Last-Event-ID: ${id}`];
    socket
      .on('error', () => undefined)
      .pause()
      .write(`${head.join('\r\n')}\r\n\r\n`);
    await setTimeout(6_000);
    socket.resume();
    expect(await Promise.race([cut, setTimeout(3_000, 'still open')])).toBe('cut');
  });

  it('beats, and ends with its token', async () => {
    const token = await edge.issue();
    const stream = await open(token);
    await eventually(() => expect(stream.heartbeats).toBeGreaterThanOrEqual(2));
    await edge.tokens.revoke(DEFAULT_TENANT_ID, token.split('.')[2] ?? '');
    await stream.closed;
    expect(stream.events.at(-1)).toMatchObject({ type: 'close', data: { code: 4004 } });
  });

  it('counts the streams of a token', async () => {
    const token = await edge.issue();
    for (let i = 0; i < 8; i += 1) await open(token);
    await expect(open(token)).rejects.toThrow('429');
    streams.at(-1)?.close();
    await eventually(() => open(token));
  });

  it('ends with the edge, and says when to come back', async () => {
    const other = await startTestEdge({ database: { url: edge.databaseUrl } });
    const stream = await open(admin, undefined, other);
    await other.stop();
    await stream.closed;
    expect(stream.events.at(-1)).toMatchObject({ type: 'close', data: { code: 1012 } });
  });
});
