import { randomUUID } from 'node:crypto';
import { eventually, hogConnections, startOwnPostgres } from '@tyrum/test-services';
import { startTestEdge } from '../testing';

describe('an edge whose database has no connection to give', () => {
  it('answers 503, is not ready and says why, and accepts under the same key when there is room again', async () => {
    const server = await startOwnPostgres({ max_connections: '25', superuser_reserved_connections: '0' });
    const edge = await startTestEdge({ database: { url: server.url } });
    try {
      const authorization = `Bearer ${await edge.issue()}`;
      const key = randomUUID();
      const start = () =>
        fetch(`${edge.httpUrl}/v1/workflows`, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify({
            conversation_key: 'agent:default:main',
            steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }],
          }),
        });
      // The token is known to the edge from here on.
      expect((await fetch(`${edge.httpUrl}/v1/turns`, { headers: { authorization } })).status).toBe(200);
      // And it has all the connections it keeps.
      await eventually(async () => expect((await fetch(`${edge.httpUrl}/readyz`)).status).toBe(200));
      const hog = await hogConnections(server.url);
      const shed = await start();
      expect(shed.status).toBe(503);
      expect(await shed.json()).toMatchObject({
        code: 'overloaded',
        details: { retry_after_ms: expect.any(Number) as number },
      });
      const ready = await fetch(`${edge.httpUrl}/readyz`);
      expect(ready.status).toBe(503);
      expect(JSON.stringify(await ready.json())).toMatch(/too many clients/);
      await hog.release();
      const accepted = await eventually(async () => {
        const answer = await start();
        expect(answer.status).toBe(202);
        return (await answer.json()) as { workflow_run_id: string };
      });
      const listed = await fetch(`${edge.httpUrl}/v1/turns`, { headers: { authorization } });
      const { turns } = (await listed.json()) as { turns: { turn: { turn_id: string } }[] };
      expect(turns.map(({ turn }) => turn.turn_id)).toEqual([accepted.workflow_run_id]);
      await eventually(async () => expect((await fetch(`${edge.httpUrl}/readyz`)).status).toBe(200));
    } finally {
      await edge.stop();
      await server.stop();
    }
  });
});
