import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT_ID, LIMITS } from '@tyrum/protocol';
import { startTestEdge, type TestEdge } from '../testing';

describe.each(['sqlite', 'postgres'] as const)('over HTTP on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  beforeAll(async () => {
    edge = await startTestEdge({ database });
    token = await edge.issue();
  });
  afterAll(() => edge.stop());

  async function call(method: string, path: string, body?: object, as = token, headers: Record<string, string> = {}) {
    const answer = await fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return {
      status: answer.status,
      replayed: answer.headers.get('idempotency-replayed'),
      body: (await answer.json()) as object,
    };
  }

  describe('a signal', () => {
    const start = async () => {
      const step = { type: 'Watch', args: { signal: 'go' } };
      const request = { conversation_key: `agent:default:x:dm:${randomUUID()}`, steps: [step] };
      const { body } = await call('POST', '/v1/workflows', request);
      return (body as { workflow_run_id: string }).workflow_run_id;
    };
    const waiters = async (turn: string) => {
      const text = `select wait_id, outcome from wait where wait_id like '${turn}/%' order by wait_id`;
      return edge.store.execute({ name: 'waits', postgres: text, sqlite: text });
    };

    it('is kept for a turn that does not wait for it yet, the first one of a name, once a key', async () => {
      const turn = await start();
      const path = `/v1/turns/${turn}/signals`;
      const key = { 'idempotency-key': 'k' };
      const signal = { name: 'go', result: { output: 'first' } };
      const kept = { status: 200, replayed: null, body: { turn_id: turn, name: 'go', outcome: 'kept' } };
      expect(await call('POST', path, signal, token, key)).toEqual(kept);
      expect(await call('POST', path, signal, token, key)).toEqual({ ...kept, replayed: 'true' });
      expect((await call('POST', path, { name: 'go' }, token, key)).status).toBe(422);
      expect((await call('POST', path, { name: 'go' })).body).toMatchObject({ outcome: 'already' });
      expect((await call('POST', path, { name: 'other' })).body).toMatchObject({ outcome: 'kept' });
      expect(await waiters(turn)).toMatchObject([
        { wait_id: `${turn}/go`, outcome: '{"kind":"succeeded","result":{"output":"first"}}' },
        { wait_id: `${turn}/other` },
      ]);
    });

    it('is refused for what has ended, is not there, or is another tenant’s, and of whom may not write', async () => {
      const turn = await start();
      const path = `/v1/turns/${turn}/signals`;
      const stranger = await edge.issue({ tenantId: await edge.newTenant() });
      const reader = await edge.issue({ role: 'client', scopes: ['operator.read'] });
      expect((await call('POST', path, { name: 'go' }, stranger)).status).toBe(404);
      expect((await call('POST', `/v1/turns/${randomUUID()}/signals`, { name: 'go' })).status).toBe(404);
      expect((await call('POST', path, { name: 'go' }, reader)).status).toBe(403);
      expect((await call('POST', path, { name: '' })).status).toBe(400);
      const large = { name: 'go', result: { output: 'x'.repeat(LIMITS.signalBytes) } };
      expect((await call('POST', path, large)).status).toBe(400);
      await call('POST', `/v1/turns/${turn}/cancel`);
      expect((await call('POST', path, { name: 'go' })).status).toBe(409);
      expect(await waiters(turn)).toEqual([]);
    });
  });

  describe('claim shares', () => {
    const shares = async (path = '', as = token) =>
      ((await call('GET', `/v1/claim-shares${path}`, undefined, as)).body as { shares: object[] }).shares;

    it('are set and shown, of tenants and of agents, and go back to their defaults', async () => {
      const tenant_id = await edge.newTenant();
      const set = (body: object) => call('PUT', '/v1/claim-shares', { tenant_id, ...body });
      expect(await shares(`?tenant_id=${tenant_id}`)).toEqual([]);
      const whole = { tenant_id, agent_key: null, weight: 7, max_running: 20 };
      expect(await set({ weight: 7, max_running: 20 })).toMatchObject({ status: 200, body: whole });
      const agent = { tenant_id, agent_key: 'slow', weight: 1, max_running: 2 };
      expect((await set({ agent_key: 'slow', max_running: 2 })).body).toEqual(agent);
      expect(await shares(`?tenant_id=${tenant_id}`)).toEqual([whole, agent]);
      expect((await set({})).body).toMatchObject({ weight: 1, max_running: null });
      for (const wrong of [
        { weight: 0 },
        { weight: 101 },
        { max_running: 0 },
        { agent_key: 'a', weight: 2 },
        { weigth: 2 },
      ]) {
        expect((await set(wrong)).status).toBe(400);
      }
    });

    it('wake workers when they are set: what waits under a cap may be allowed now', async () => {
      const body = { tenant_id: await edge.newTenant(), max_running: 3 };
      let woken = 0;
      const stop = edge.backplane.subscribe('work', () => (woken += 1));
      expect((await call('PUT', '/v1/claim-shares', { ...body, max_running: 0 })).status).toBe(400);
      expect(woken).toBe(0);
      expect((await call('PUT', '/v1/claim-shares', body)).status).toBe(200);
      expect(woken).toBe(1);
      stop();
    });

    it('of a tenant are for the admins of the default one; each divides among its own agents', async () => {
      const [tenantId, other] = [await edge.newTenant(), await edge.newTenant()];
      const admin = await edge.issue({ tenantId });
      const put = (body: object, as: string) => call('PUT', '/v1/claim-shares', body, as);
      expect((await put({ weight: 100 }, admin)).status).toBe(403);
      expect((await put({ agent_key: 'a', max_running: 3 }, admin)).status).toBe(200);
      for (const foreign of [other, DEFAULT_TENANT_ID, randomUUID()]) {
        expect((await put({ tenant_id: foreign, agent_key: 'a', max_running: 3 }, admin)).status).toBe(404);
        expect((await call('GET', `/v1/claim-shares?tenant_id=${foreign}`, undefined, admin)).status).toBe(404);
      }
      expect(await shares('', admin)).toEqual([{ tenant_id: tenantId, agent_key: 'a', weight: 1, max_running: 3 }]);
      expect((await put({ tenant_id: randomUUID(), weight: 2 }, token)).status).toBe(404);
      const writer = await edge.issue({ role: 'client', scopes: ['operator.write'] });
      expect((await put({ weight: 2 }, writer)).status).toBe(403);
      expect((await call('GET', '/v1/claim-shares', undefined, writer)).status).toBe(403);
    });
  });
});
