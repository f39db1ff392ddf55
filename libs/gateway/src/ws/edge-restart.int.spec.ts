import { randomUUID } from 'node:crypto';
import { appendEvents, DirectedMail, type DirectedMessage, type ReturnedMessage } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { Statement } from '@tyrum/statestore';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, TestDevice, type TestEdge } from '../testing';

const slotOf: Statement = {
  name: 'slot',
  postgres: 'select xid::text as xid, id, expires_at from edge_slot where slot = $1',
  sqlite: 'select cast(xid as text) as xid, id, expires_at from edge_slot where slot = ?1',
};

describe.each(['sqlite', 'postgres'] as const)('an edge on %s', (database) => {
  let first: TestEdge;
  let admin: string;
  const edges: TestEdge[] = [];
  beforeEach(async () => {
    first = await startTestEdge({ database });
    admin = await first.issue();
  });
  afterEach(async () => {
    for (const edge of edges.splice(0)) await edge.stop();
    await first.stop();
  });

  const start = async (instanceId: string): Promise<TestEdge> => {
    const edge = await startTestEdge({ database: { url: first.databaseUrl }, instanceId });
    edges.push(edge);
    return edge;
  };
  const stop = async (edge: TestEdge): Promise<void> => {
    edges.splice(edges.indexOf(edge), 1);
    await edge.stop();
  };
  const commitMany = async (count: number): Promise<string[]> => {
    const event = {
      tenantId: DEFAULT_TENANT_ID,
      type: 'auth.failed',
      scope: { kind: 'global' as const },
      payload: { reason: 'test' },
    };
    const ids = Array.from({ length: count }, () => randomUUID());
    const events = ids.map((eventId) => ({ ...event, eventId, occurredAt: Date.now() }));
    await first.store.transaction((tx) => appendEvents(tx, events));
    for (const edge of [first, ...edges]) edge.backplane.publish('outbox');
    return ids;
  };
  const commit = async (): Promise<string> => (await commitMany(1))[0] ?? '';

  it('keeps its place over a restart; who resumes misses nothing and who is new hears nothing old', async () => {
    const edge = await start('edge-a');
    const device = new TestDevice();
    const client = await TestClient.connect(edge.socketUrl, admin, { device, resumeCursor: 'head' });
    const seen = await commit();
    const { cursor } = await client.frame(({ event_id }) => event_id === seen);
    await stop(edge);
    const [kept] = await first.store.execute<{ xid: string; id: number }>(slotOf, ['edge-a']);
    // More than the edge has read by the time of the first connection.
    const witness = await TestClient.connect(first.socketUrl, admin);
    const missed = await commitMany(5_000);
    // They are old when they can be read: a transaction of anybody on this server may hold them back for a while.
    await witness.frame(({ event_id }) => event_id === missed.at(-1));
    const again = await start('edge-a');
    const fresh = await TestClient.connect(again.socketUrl, admin);
    const resumed = await TestClient.connect(again.socketUrl, admin, { device, resumeCursor: cursor });
    const live = await commit();
    await Promise.all([fresh, resumed].map((c) => c.frame(({ event_id }) => event_id === live)));
    expect([...new Set(resumed.events().map(({ event_id }) => event_id))]).toEqual([...missed, live]);
    expect(fresh.events().map(({ event_id }) => event_id)).toEqual([live]);
    await stop(again);
    const [moved] = await first.store.execute<{ xid: string; id: number }>(slotOf, ['edge-a']);
    expect(BigInt(moved?.xid ?? 0) * 2n ** 64n + BigInt(moved?.id ?? 0)).toBeGreaterThan(
      BigInt(kept?.xid ?? 0) * 2n ** 64n + BigInt(kept?.id ?? 0),
    );
  });

  it('delivers what is directed to its connections, and sends the rest back to its origin', async () => {
    const [here, there] = [await start('edge-a'), await start('edge-b')];
    const node = await TestClient.connect(here.socketUrl, admin, { role: 'node', device: new TestDevice() });
    const mail = new DirectedMail(first.store);
    const message = (parts: Partial<DirectedMessage>): DirectedMessage => ({
      messageId: randomUUID(),
      tenantId: DEFAULT_TENANT_ID,
      slot: 'edge-a',
      connectionId: node.clientId,
      origin: 'dispatch',
      payload: JSON.stringify({
        request_id: 'r1',
        type: 'task.execute',
        payload: { dispatch_id: 'd1', action: { type: 'Node', args: { capability: 'tyrum.fs.read' } } },
      }),
      deliverWithinMs: 60_000,
      ...parts,
    });
    const sent = message({});
    const back = {
      unknown: message({ connectionId: 'nobody' }),
      foreign: message({ tenantId: randomUUID() }),
      elsewhere: message({ slot: 'edge-b' }),
      nowhere: message({ slot: 'edge-c' }),
    };
    await first.store.transaction((tx) => mail.send(tx, [sent, ...Object.values(back)]));
    for (const edge of [here, there]) edge.backplane.publish('directed');
    await node.frame(({ type, request_id }) => type === 'task.execute' && request_id === 'r1');
    const returned: ReturnedMessage[] = [];
    await eventually(async () => {
      returned.push(...(await first.store.transaction((tx) => mail.collect(tx, 'dispatch', 10))));
      expect(returned).toHaveLength(4);
    });
    expect(Object.fromEntries(returned.map(({ messageId, reason }) => [messageId, reason]))).toEqual({
      [back.unknown.messageId]: 'not_connected',
      [back.foreign.messageId]: 'not_connected',
      [back.elsewhere.messageId]: 'not_connected',
      [back.nowhere.messageId]: 'edge_gone',
    });
    expect(node.frames.filter(({ type }) => type === 'task.execute')).toHaveLength(1);
  });
});
