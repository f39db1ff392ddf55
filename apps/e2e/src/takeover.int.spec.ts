import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPostgresDatabase, eventually, type AppProcess } from '@tyrum/test-services';
import { Deployment, shell } from './deployment';

/** Takeovers between two workers that share a database and a workspace, with a TTL of two seconds. */
const TTL_MS = 2_000;

describe('a worker that dies or stalls', () => {
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let tyrum: Deployment;
  let first: AppProcess;

  beforeEach(async () => {
    database = await createPostgresDatabase();
    tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url, TYRUM_LEASE_TTL_MS: String(TTL_MS) });
    await tyrum.start('edge');
    first = await tyrum.start('worker');
  });

  afterEach(async () => {
    await tyrum.stop();
    await database.drop();
  });

  const file = (name: string) => join(tyrum.workspace, name);
  const lines = (name: string) => readFileSync(file(name), 'utf8').trim().split('\n');
  const written = (name: string) =>
    eventually(() => Promise.resolve(lines(name)), { timeoutMs: 40_000, intervalMs: 20 });

  it('killed inside an idempotent step: another worker finishes, and no earlier step runs again', async () => {
    const id = await tyrum.startTurn('agent:default:main', [
      shell('echo one >> done'),
      shell('echo begun >> second; test -f go || sleep 60; echo two >> done', 'idempotent'),
      shell('echo three >> done'),
    ]);
    await written('second');
    first.kill('SIGKILL');
    await first.exited;
    // Not by a turn: the new worker may take both at once, and the step would look before the file is there.
    writeFileSync(file('go'), '');
    await tyrum.start('worker');
    const { turn, steps } = await tyrum.ended(id);
    expect(turn.status).toBe('succeeded');
    expect(turn.attempt).toBe(2);
    expect(steps.map((step) => step.attempts)).toEqual([1, 2, 1]);
    expect(lines('done')).toEqual(['one', 'two', 'three']);
  });

  it('killed between two steps: the finished one is not run again', async () => {
    const id = await tyrum.startTurn('agent:default:main', [
      shell('echo one >> done'),
      shell('sleep 60', 'read'),
      shell('echo three >> done'),
    ]);
    await eventually(async () => expect((await tyrum.turn(id)).steps[0]?.status).toBe('succeeded'), {
      timeoutMs: 15_000,
    });
    first.kill('SIGKILL');
    await first.exited;
    await tyrum.start('worker');
    await eventually(async () => expect((await tyrum.turn(id)).turn.attempt).toBe(2), { timeoutMs: 40_000 });
    await tyrum.call('POST', `/v1/turns/${id}/cancel`);
    await tyrum.ended(id);
    expect(lines('done')).toEqual(['one']);
  });

  it.each([
    ['retry', 'succeeded', ['begun', 'begun', 'end']],
    ['done', 'succeeded', ['begun', 'end']],
    ['fail', 'failed', ['begun']],
  ])('killed inside a step of class once: it parks, and `%s` settles it', async (decision, status, expected) => {
    const id = await tyrum.startTurn('agent:default:main', [
      shell('echo begun >> done; test -f go || sleep 60'),
      shell('echo end >> done'),
    ]);
    await written('done');
    first.kill('SIGKILL');
    await first.exited;
    await tyrum.start('worker');
    const parked = await tyrum.until(id, ['paused']);
    expect(parked.turn.blocked_reason).toBe('manual');
    expect(parked.turn.blocked_detail).toMatch(/step 0 .*outcome unknown/);
    expect(parked.waiting?.kind).toBe('manual');
    // It stays parked: nothing runs it again by itself.
    const other = await tyrum.startTurn('agent:default:t:dm:go', [shell('touch go')]);
    await tyrum.ended(other);
    expect(lines('done')).toEqual(['begun']);

    const answer = await tyrum.call('POST', `/v1/turns/${id}/resolve`, { decision });
    expect(answer.status).toBe(200);
    expect((await tyrum.ended(id)).turn.status).toBe(status);
    expect(lines('done')).toEqual(expected);
  });

  it('stopped beyond its lease and woken: its late result is refused', async () => {
    const id = await tyrum.startTurn('agent:default:main', [
      shell('echo begun >> second; test -f go || sleep 6; echo "$TYRUM_FENCING_TOKEN" > token', 'idempotent'),
      shell('echo end >> done'),
    ]);
    await written('second');
    first.kill('SIGSTOP');
    const second = await tyrum.start('worker');
    await tyrum.call('POST', '/v1/workflows', {
      conversation_key: 'agent:default:t:dm:go',
      steps: [shell('touch go')],
    });
    const ended = await tyrum.ended(id);
    expect(ended.turn.status).toBe('succeeded');
    const before = JSON.stringify(ended);
    first.kill('SIGCONT');
    // It finds out, says so, and goes on to serve: as a worker in good standing it takes the next turn when the other one is gone.
    await eventually(
      () =>
        Promise.resolve(expect(first.logs.some((line) => /lease lost|fenced/.test(String(line['msg'])))).toBe(true)),
      { timeoutMs: 40_000 },
    );
    second.kill('SIGTERM');
    await second.exited;
    const next = await tyrum.startTurn('agent:default:main', [shell('echo next >> done')]);
    expect((await tyrum.ended(next)).turn.status).toBe('succeeded');
    expect(JSON.stringify(await tyrum.turn(id))).toBe(before);
    expect(lines('done')).toEqual(['end', 'next']);
  });
});
