import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { storedEvents } from '@tyrum/outbox/testing';
import { openStateStore } from '@tyrum/statestore';
import { eventually, spawnApp } from '@tyrum/test-services';
import { Deployment, shell } from './deployment';

describe('one process on SQLite', () => {
  let tyrum: Deployment;

  beforeEach(() => {
    tyrum = new Deployment({ TYRUM_LEASE_TTL_MS: '2000' });
  });
  afterEach(() => tyrum.stop());

  it('brings every acknowledged turn to an end after kill -9 and a restart', async () => {
    const edge = await tyrum.start('edge');
    const acknowledged: string[] = [];
    const clients = Array.from({ length: 8 }, async (_, c) => {
      for (let i = 0; ; i += 1) {
        const id = await tyrum.startTurn(`agent:default:load:dm:peer-${c}`, [
          shell(`echo ${i} >> order-${c}`, 'idempotent'),
          shell('sleep 0.05', 'idempotent'),
        ]);
        acknowledged.push(id);
      }
    });
    await eventually(() => Promise.resolve(expect(acknowledged.length).toBeGreaterThan(60)), {
      timeoutMs: 30_000,
      intervalMs: 5,
    });
    edge.kill('SIGKILL');
    await Promise.allSettled(clients);
    await edge.exited;

    await tyrum.start('edge');
    const turns = await Promise.all(acknowledged.map((id) => tyrum.ended(id, 60_000)));
    expect(new Set(turns.map(({ turn }) => turn.status))).toEqual(new Set(['succeeded']));
  });

  it('makes one turn and one answer of the same Idempotency-Key sent 20 times at once', async () => {
    await tyrum.start('edge');
    const body = { conversation_key: 'agent:default:main', steps: [shell('echo once >> done')] };
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => tyrum.call('POST', '/v1/workflows', body, { 'idempotency-key': key })),
    );
    // While the first is under way the others are told so; from then on its answer is theirs.
    expect(new Set(answers.map((answer) => answer.status).filter((status) => status !== 409))).toEqual(new Set([202]));
    const again = await tyrum.call('POST', '/v1/workflows', body, { 'idempotency-key': key });
    const accepted = [...answers, again].filter((answer) => answer.status === 202);
    const texts = await Promise.all(accepted.map((answer) => answer.text()));
    expect(new Set(texts).size).toBe(1);
    const { workflow_run_id: id } = JSON.parse(texts[0] ?? '') as { workflow_run_id: string };
    await tyrum.ended(id);
    expect(readFileSync(join(tyrum.workspace, 'done'), 'utf8')).toBe('once\n');
    const other = { ...body, steps: [shell('echo twice >> done')] };
    expect((await tyrum.call('POST', '/v1/workflows', other, { 'idempotency-key': key })).status).toBe(422);
  });

  it('has written down whom it refused in its last moment when SIGTERM has ended it', async () => {
    const edge = await tyrum.start('edge');
    for (let i = 0; i < 7; i += 1) {
      expect((await tyrum.call('GET', '/v1/turns', undefined, { authorization: 'Bearer nobody' })).status).toBe(401);
    }
    edge.kill('SIGTERM');
    expect(await edge.exited).toMatchObject({ code: 0 });
    const store = await openStateStore({ kind: 'sqlite', path: join(tyrum.home, 'tyrum.db') });
    const refusals = (await store.read(storedEvents)).filter(({ type }) => type === 'auth.failed');
    await store.close();
    const counts = refusals.map(({ payload }) => (payload as { count: number }).count);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(7);
  });

  it('keeps the whole of an output that is too long for its result', async () => {
    await tyrum.start('edge');
    const id = await tyrum.startTurn('agent:default:main', [shell('seq 1 60000')]);
    const { steps } = await tyrum.ended(id);
    const [artifact] = steps[0]?.artifacts ?? [];
    const whole = await (await tyrum.call('GET', artifact?.external_url ?? '')).text();
    expect(whole).toBe(Array.from({ length: 60_000 }, (_, i) => `${i + 1}\n`).join(''));
    expect(steps[0]?.result?.output?.length).toBeLessThan(70_000);
  });

  it('cancels a running command and everything it started', async () => {
    await tyrum.start('edge');
    const id = await tyrum.startTurn('agent:default:main', [
      shell('sh -c "sleep 3; echo late >> done" & echo $! > pid; wait'),
    ]);
    await eventually(() => Promise.resolve(readFileSync(join(tyrum.workspace, 'pid'), 'utf8')), { timeoutMs: 30_000 });
    expect((await tyrum.call('POST', `/v1/turns/${id}/cancel`, { reason: 'enough' })).status).toBe(200);
    expect((await tyrum.ended(id)).turn.status).toBe('cancelled');
    const pid = Number(readFileSync(join(tyrum.workspace, 'pid'), 'utf8'));
    await eventually(() => Promise.resolve(expect(() => process.kill(pid, 0)).toThrow()), { timeoutMs: 5_000 });
  });

  it('drains on SIGTERM: the running step ends, the process exits 0, the rest goes on after the restart', async () => {
    const edge = await tyrum.start('edge');
    const id = await tyrum.startTurn('agent:default:main', [
      shell('echo begun >> done; sleep 1; echo one >> done'),
      shell('echo two >> done'),
    ]);
    await eventually(() => Promise.resolve(readFileSync(join(tyrum.workspace, 'done'), 'utf8')), { timeoutMs: 30_000 });
    edge.kill('SIGTERM');
    expect((await edge.exited).code).toBe(0);
    expect(readFileSync(join(tyrum.workspace, 'done'), 'utf8')).toBe('begun\none\n');
    await tyrum.start('edge');
    expect((await tyrum.ended(id)).turn.status).toBe('succeeded');
    expect(readFileSync(join(tyrum.workspace, 'done'), 'utf8')).toBe('begun\none\ntwo\n');
  });
});

describe('every app', () => {
  it.each(['edge', 'worker', 'scheduler', 'desktop-runtime'] as const)(
    '%s names a bad variable and exits 78',
    async (app) => {
      await expect(spawnApp(app, { TYRUM_HOME: 'unused', TYRUM_LEASE_TTL_MS: 'soon' })).rejects.toThrow(
        /TYRUM_LEASE_TTL_MS/,
      );
    },
  );
});
