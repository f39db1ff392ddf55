import { eventually } from '@tyrum/test-services';
import { EventStreamClient } from '../testing/event-stream-client';
import { startTestEdge } from '../testing/test-edge';

it('outlives messages about presence that mean nothing, and passes on those that do', async () => {
  const edge = await startTestEdge();
  try {
    const token = await edge.issue();
    const stream = await EventStreamClient.open(edge.httpUrl, token);
    const { tenantId } = (await edge.tokens.verify(token)) ?? {};
    for (const text of ['', '{', 'null', '[]', '7', '{}', '{"tenant_id":7}', JSON.stringify({ tenant_id: tenantId })]) {
      edge.backplane.publish('presence', text);
    }
    edge.backplane.publish('presence', JSON.stringify({ tenant_id: tenantId, pruned: 'dev_x' }));
    await eventually(() => expect(stream.events.map(({ type }) => type)).toEqual(['ready', 'presence.pruned']));
    stream.close();
  } finally {
    await edge.stop();
  }
});
