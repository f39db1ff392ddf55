import { createDeviceIdentity, serveCapabilities, type ServedNode, type WebSocketConstructor } from '@tyrum/client';
import { createPostgresDatabase, eventually } from '@tyrum/test-services';
import { WebSocket } from 'ws';
import { Deployment } from './deployment';

/** What is promised is two seconds; the rest is for a loaded machine. */
const PROMISED_MS = 2_000;
const LOADED_MS = 1_000;

describe('a turn that is cancelled while a node is at it', () => {
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let tyrum: Deployment;
  let node: ServedNode | undefined;

  beforeAll(async () => {
    database = await createPostgresDatabase();
    tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url });
  });
  afterAll(async () => {
    await node?.close(0);
    await tyrum.stop();
    await database.drop();
  });

  it('aborts the node’s handler, which is connected to another edge, and leaves the next action alone', async () => {
    // The deployment asks the edge that started last; the node is at the first one.
    const first = await tyrum.start('edge');
    await tyrum.start('edge');
    await tyrum.start('worker');
    const { token } = (await (await tyrum.call('POST', '/v1/tokens', { role: 'node' })).json()) as { token: string };
    const aborted: { readonly name: unknown; readonly atMs: number }[] = [];
    const begun: unknown[] = [];
    node = serveCapabilities({
      url: `ws://127.0.0.1:${first.port}/ws`,
      token,
      identity: await createDeviceIdentity(),
      WebSocket: WebSocket as unknown as WebSocketConstructor,
      capabilities: [
        {
          id: 'tyrum.test.wait',
          version: '1.0.0',
          run: ({ args, signal }) =>
            new Promise((resolve) => {
              begun.push(args['name']);
              if (args['waits'] !== true) resolve('done');
              signal.addEventListener('abort', () => aborted.push({ name: args['name'], atMs: performance.now() }));
            }),
        },
      ],
    });
    const { pairing_id } = await eventually(async () => {
      const { pairings } = (await (await tyrum.call('GET', '/v1/pairings')).json()) as {
        pairings: { pairing_id: number }[];
      };
      if (!pairings[0]) throw new Error('it has not asked yet');
      return pairings[0];
    });
    const allowlist = [{ id: 'tyrum.test.wait', version: '1.0.0' }];
    const approval = { trust_level: 'local', capability_allowlist: allowlist };
    expect((await tyrum.call('POST', `/v1/pairings/${pairing_id}/approve`, approval)).status).toBe(200);
    await node.approved;

    const step = (name: string, more: object = {}) => ({
      type: 'Node' as const,
      args: { capability: 'tyrum.test.wait', name, ...more },
    });
    const id = await tyrum.startTurn('agent:default:c:dm:1', [step('cancelled', { waits: true }), step('never')]);
    await eventually(() => expect(begun).toEqual(['cancelled']), { timeoutMs: 60_000 });
    const cancelledAtMs = performance.now();
    expect((await tyrum.call('POST', `/v1/turns/${id}/cancel`, {})).status).toBe(200);
    await eventually(() => expect(aborted).toHaveLength(1));
    expect((aborted[0]?.atMs ?? Infinity) - cancelledAtMs).toBeLessThan(PROMISED_MS + LOADED_MS);
    expect((await tyrum.turn(id)).turn.status).toBe('cancelled');

    const next = await tyrum.startTurn('agent:default:c:dm:1', [step('next')]);
    expect((await tyrum.ended(next)).turn.status).toBe('succeeded');
    expect([begun, aborted.map(({ name }) => name)]).toEqual([['cancelled', 'next'], ['cancelled']]);
  });
});
