import { request } from 'node:http';
import { LIMITS } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { EventStreamClient } from '../testing/event-stream-client';
import { startTestEdge, type TestEdge } from '../testing/test-edge';

let edge: TestEdge;
beforeAll(async () => {
  edge = await startTestEdge({ database: 'postgres' });
});
afterAll(() => edge.stop());

const sql = (postgres: string) => ({ name: 'test', postgres, sqlite: '' });
const waitingForTokens = sql(`select pid from pg_locks where not granted and relation = 'auth_token'::regclass`);

it('counts no event stream of a client that left before it was let in', async () => {
  const token = await edge.issue();
  await edge.store.transaction(async (tx) => {
    await tx.query(sql('lock table auth_token in access exclusive mode'), []);
    const left = Array.from({ length: LIMITS.connectionsPerDevice }, () => {
      const asked = request(`${edge.httpUrl}/v1/events`, {
        headers: { authorization: `Bearer ${token}` },
        agent: false,
      });
      asked.on('error', () => undefined);
      asked.end();
      return asked;
    });
    await eventually(async () => expect(await tx.query(waitingForTokens, [])).not.toEqual([]));
    const gone = left.map((asked) => new Promise((resolve) => asked.once('close', resolve)));
    left.forEach((asked) => asked.destroy());
    await Promise.all(gone);
    // Until the edge has heard of it as well.
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  // The edge may still be looking their token up; what is counted for ever is counted then, too.
  await eventually(async () => (await EventStreamClient.open(edge.httpUrl, token)).close());
});
