import { randomUUID } from 'node:crypto';
import { startTestEdge } from '../testing';

describe('a budget of money', () => {
  async function start(env: Record<string, string>, budgets: object) {
    const edge = await startTestEdge({ env });
    try {
      const answer = await fetch(`${edge.httpUrl}/v1/workflows`, {
        method: 'POST',
        headers: { authorization: `Bearer ${await edge.issue()}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          conversation_key: `agent:default:x:dm:${randomUUID()}`,
          steps: [{ type: 'CLI', args: { cmd: 'true', args: [] } }],
          budgets,
        }),
      });
      return { status: answer.status, text: await answer.text() };
    } finally {
      await edge.stop();
    }
  }
  const MODEL = { TYRUM_MODEL_BASE_URL: 'http://127.0.0.1:9/v1', TYRUM_MODEL: 'm' };

  it('is taken where the price of the model is known', async () => {
    expect((await start({ ...MODEL, TYRUM_MODEL_PRICE: '2.50,10' }, { max_usd_micros: 5 })).status).toBe(202);
  });

  it('is refused where it is not, with what to do instead', async () => {
    const refused = await start(MODEL, { max_usd_micros: 5 });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('body.budgets.max_usd_micros');
    expect(refused.text).toContain('use max_total_tokens');
    expect((await start(MODEL, { max_total_tokens: 5 })).status).toBe(202);
  });
});
