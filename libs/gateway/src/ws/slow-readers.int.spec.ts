import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { appendEvents } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID, LIMITS } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, type TestEdge } from '../testing';

const SLOW_BYTES_PER_SECOND = 1_024;
const TICK_MS = 50;
const CONVERSATION = 'agent:default:main';

/** A line to the edge; between `narrow` and `open` it lets through 1 kB a second. */
async function slowLine(edgeUrl: string) {
  const sockets: Socket[] = [];
  let isOpen = true;
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(edgeUrl).port), '127.0.0.1');
    sockets.push(client, upstream);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.pipe(upstream);
    upstream.once('close', () => client.end());
    const tick = setInterval(() => {
      const share = isOpen ? Infinity : Math.round((SLOW_BYTES_PER_SECOND * TICK_MS) / 1_000);
      const some = upstream.read(Math.min(share, upstream.readableLength)) as Buffer | null;
      if (some) client.write(some);
    }, TICK_MS);
    upstream.on('readable', () => undefined);
    upstream.once('close', () => clearInterval(tick));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`,
    narrow: () => void (isOpen = false),
    open: () => void (isOpen = true),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe.each(['sqlite', 'postgres'] as const)(
  'replies that are written faster than they are read, on %s',
  (database) => {
    const SEND_BUFFER_BYTES = 256 * 1024;
    let edge: TestEdge;
    let admin: string;
    beforeAll(async () => {
      edge = await startTestEdge({ database, env: { TYRUM_SEND_BUFFER_BYTES: String(SEND_BUFFER_BYTES) } });
      admin = await edge.issue();
    });
    afterAll(() => edge.stop());

    const publish = (stream_id: string, more: object): void => {
      const whom = { tenant_id: DEFAULT_TENANT_ID, agent_key: 'default', conversation_id: CONVERSATION };
      edge.backplane.publish('stream', JSON.stringify({ ...whom, stream_id, ...more }));
    };
    /** As a worker publishes it, with the message itself at the end. */
    const stream = async (streamId: string, deltas: readonly string[]): Promise<void> => {
      const chunk = (what: object): void => publish(streamId, { stage: 'chunk', chunk: what });
      chunk({ type: 'start' });
      for (const [i, delta] of deltas.entries()) {
        if (i === deltas.length / 2) chunk({ type: 'tool-input-available', toolCallId: 'x' });
        chunk({ type: 'text-delta', id: 'text', delta });
        // A model does not write everything in one turn of the event loop.
        if (i % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      publish(streamId, { stage: 'done' });
      const event = {
        eventId: randomUUID(),
        tenantId: DEFAULT_TENANT_ID,
        type: 'message.final' as const,
        scope: { kind: 'conversation', id: CONVERSATION } as const,
        payload: { conversation_id: CONVERSATION, message_id: streamId, role: 'assistant', content: deltas.join('') },
        occurredAt: Date.now(),
      };
      await edge.store.transaction((tx) => appendEvents(tx, [event]));
      edge.backplane.publish('outbox');
    };
    /** Looks now and then: at each of so many frames would be looking for most of the time. */
    const heardAll = (client: TestClient, id: string): Promise<void> =>
      eventually(
        () =>
          expect(client.frames.findLast(({ type }) => type === 'message.final')?.payload).toMatchObject({
            message_id: id,
          }),
        { timeoutMs: 60_000 },
      );
    /** What a reader makes of it, by both kinds of events. */
    const textsOf = (client: TestClient, id: string): { ui: string; delta: string; frames: number } => {
      const pieces = client.events().filter(({ type, payload }) => type !== 'message.final' && idOf(payload) === id);
      const ui = pieces.map(({ payload }) => (payload as { chunk?: { delta?: string } }).chunk?.delta ?? '').join('');
      const delta = pieces.map(({ payload }) => (payload as { delta?: string }).delta ?? '').join('');
      return { ui, delta, frames: pieces.length };
    };
    const idOf = (payload: unknown): string | undefined => {
      const { stream_id, message_id } = payload as { stream_id?: string; message_id?: string };
      return stream_id ?? message_id;
    };

    it('reach a reader of 1 kB a second in fewer and longer pieces of the same text', async () => {
      const line = await slowLine(edge.socketUrl);
      const quick = await TestClient.connect(edge.socketUrl, admin);
      const slow = await TestClient.connect(line.url, admin);
      const streamId = randomUUID();
      const deltas = Array.from({ length: 20_000 }, (_, i) => `${i.toString(36)}é `);
      const text = deltas.join('');
      await stream(streamId, deltas);
      await heardAll(quick, streamId);
      // More than a connection may hold was written to the quick one; the slow one, which held as little as it may, is there still.
      expect(slow.socket.readyState).toBe(slow.socket.OPEN);
      line.open();
      await heardAll(slow, streamId);
      const [heard, all] = [textsOf(slow, streamId), textsOf(quick, streamId)];
      expect([heard.ui === text, heard.delta === text]).toEqual([true, true]);
      expect([all.ui === text, all.delta === text]).toEqual([true, true]);
      // What the kernel took before it was full, went as it was.
      expect(heard.frames).toBeLessThan(all.frames * 0.8);
      const ids = slow.events().map(({ event_id }) => event_id);
      expect(new Set(ids).size).toBe(ids.length);
      // In order: what is final comes last, the tool's call between the same two halves, and nobody types any more.
      const types = slow.events().map(({ type }) => type);
      expect(types.at(-1)).toBe('message.final');
      expect(types.filter((type) => type.startsWith('typing')).at(-1)).toBe('typing.stopped');
      const chunks = slow.events().filter(({ type }) => type === 'chat.ui-message.stream');
      const at = chunks.findIndex(({ payload }) =>
        (payload as { chunk?: { type: string } }).chunk?.type.startsWith('tool'),
      );
      const half = chunks
        .slice(0, at)
        .map(({ payload }) => (payload as { chunk?: { delta?: string } }).chunk?.delta ?? '')
        .join('');
      expect(half).toBe(deltas.slice(0, deltas.length / 2).join(''));
      await Promise.all([quick.close(), slow.close()]);
      line.close();
    });

    it('cost a peer that never reads its connection before they cost us memory', async () => {
      const slow = await TestClient.connect(edge.socketUrl, admin);
      slow.socket.pause();
      const streamId = randomUUID();
      const deltas = Array.from({ length: 2_000 }, () => 'x'.repeat(4 * 1024));
      await stream(streamId, deltas);
      slow.socket.resume();
      expect(await slow.closed).toMatchObject({ code: 1013 });
    });

    it('reach a crowd in longer pieces, too', async () => {
      const clients = await Promise.all(
        Array.from({ length: LIMITS.streamCrowd }, () => TestClient.connect(edge.socketUrl, admin)),
      );
      const streamId = randomUUID();
      const deltas = Array.from({ length: 1_000 }, (_, i) => `${i} `);
      await stream(streamId, deltas);
      for (const client of clients) {
        await heardAll(client, streamId);
        const { ui, delta, frames } = textsOf(client, streamId);
        expect([ui, delta]).toEqual([deltas.join(''), deltas.join('')]);
        expect(frames).toBeLessThan(deltas.length);
      }
      await Promise.all(clients.map((client) => client.close()));
    });
  },
);
