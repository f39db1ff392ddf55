import { eventually } from '@tyrum/test-services';
import { EventStreamClient } from '../testing/event-stream-client';
import { startTestEdge } from '../testing/test-edge';

it('outlives messages about presence that mean nothing, and passes on those that do', async () => {
  const edge = await startTestEdge();
  try {
    const token = await edge.issue();
    const stream = await EventStreamClient.open(edge.httpUrl, token);
    const { tenantId } = (await edge.tokens.verify(token)) ?? {};
    const meaningless = ['', '{', 'null', '[]', '7', '{}', '{"tenant_id":7}', JSON.stringify({ tenant_id: tenantId })];
    // Nobody keeps these: a reader that is not all there yet hears of the next one.
    await eventually(() => {
      for (const text of [...meaningless, JSON.stringify({ tenant_id: tenantId, pruned: 'dev_x' })]) {
        edge.backplane.publish('presence', text);
      }
      expect(stream.events.map(({ type }) => type)).toContain('presence.pruned');
    });
    expect(new Set(stream.events.map(({ type }) => type))).toEqual(new Set(['ready', 'presence.pruned']));
    stream.close();
  } finally {
    await edge.stop();
  }
});
