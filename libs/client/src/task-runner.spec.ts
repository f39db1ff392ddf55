import { WireError, type JsonObject, type JsonValue, type RequestEnvelope } from '@tyrum/protocol';
import { runtimeClock } from './clock';
import { MemoryDispatchJournal, type DispatchJournal } from './dispatch-journal';
import { TaskRunner, type Capability, type CapabilityTask } from './task-runner';

const order = (dispatch_id: string, args: JsonObject = {}, type = 'Node'): RequestEnvelope => ({
  request_id: dispatch_id,
  type: 'task.execute',
  payload: { dispatch_id, turn_id: 't', action: { type, args: { capability: 'tyrum.test.do', ...args } } },
});

interface Scene {
  readonly runner: TaskRunner;
  readonly tasks: CapabilityTask[];
  readonly troubles: unknown[];
  readonly evidence: [JsonObject, string][];
}

function scene(
  run: (task: CapabilityTask) => Promise<JsonValue | undefined> = () => Promise.resolve('done'),
  { journal = new MemoryDispatchJournal(), maxConcurrent = 2, maxWaiting = 1, more = [] as Capability[] } = {},
): Scene {
  const [tasks, troubles, evidence]: [CapabilityTask[], unknown[], [JsonObject, string][]] = [[], [], []];
  const capability = {
    id: 'tyrum.test.do',
    version: '1.0.0',
    run: (task: CapabilityTask) => {
      tasks.push(task);
      return run(task);
    },
  };
  const runner = new TaskRunner([capability, ...more], {
    journal,
    maxConcurrent,
    maxWaiting,
    clock: runtimeClock,
    sendEvidence: (payload, id) => Promise.resolve(void evidence.push([payload, id])),
    trouble: (error) => void troubles.push(error),
  });
  return { runner, tasks, troubles, evidence };
}

/** Promises that are resolved by hand, in order. */
function gates(): { run: () => Promise<JsonValue>; open: (value?: JsonValue) => void } {
  const waiting: ((value: JsonValue) => void)[] = [];
  return {
    run: () => new Promise((resolve) => waiting.push(resolve)),
    open: (value = 'done') => waiting.shift()?.(value),
  };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('TaskRunner', () => {
  it('does nothing twice under one id: copies wait, and later ones are answered again', async () => {
    const gate = gates();
    const { runner, tasks } = scene(gate.run);
    const copies = [1, 2, 3].map(() => runner.execute(order('a')));
    await settled();
    gate.open({ n: 1 });
    expect(await Promise.all(copies)).toEqual([1, 2, 3].map(() => ({ result: { n: 1 } })));
    expect(await runner.execute(order('a'))).toEqual({ result: { n: 1 } });
    expect(tasks).toHaveLength(1);
  });

  it('answers a failure again, too', async () => {
    const { runner, tasks } = scene(() => Promise.reject(new WireError('not_found', 'no such file')));
    for (let i = 0; i < 2; i += 1)
      await expect(runner.execute(order('a'))).rejects.toMatchObject({ code: 'not_found', message: 'no such file' });
    expect(tasks).toHaveLength(1);
  });

  it('tells the gateway nothing of errors that were not meant for it', async () => {
    const { runner, troubles } = scene(() => Promise.reject(new Error('password is hunter2')));
    await expect(runner.execute(order('a'))).rejects.toMatchObject({ message: 'tyrum.test.do failed' });
    expect(troubles).toMatchObject([{ message: 'password is hunter2' }]);
  });

  it.each([
    ['once', 0],
    ['idempotent', 1],
    ['read', 1],
  ])('what was begun and has no end is, for %s, run %i times', async (effect, times) => {
    const journal = new MemoryDispatchJournal();
    await journal.begin('a');
    const { runner, tasks } = scene(undefined, { journal });
    const answer = runner.execute(order('a', { effect }));
    if (times === 1) expect(await answer).toEqual({ result: 'done' });
    else await expect(answer).rejects.toMatchObject({ details: { outcome: 'unknown' } });
    expect(tasks).toHaveLength(times);
  });

  it('runs no more at once than it may, says that it is busy beyond what may wait, and takes that again', async () => {
    const gate = gates();
    const { runner, tasks } = scene(gate.run);
    const three = ['a', 'b', 'c'].map((id) => runner.execute(order(id)));
    await settled();
    expect(tasks).toHaveLength(2);
    await expect(runner.execute(order('d'))).rejects.toMatchObject({ code: 'overloaded' });
    gate.open();
    await settled();
    expect(tasks).toHaveLength(3);
    gate.open();
    gate.open();
    await Promise.all(three);
    const again = runner.execute(order('d'));
    await settled();
    gate.open();
    expect(await again).toEqual({ result: 'done' });
  });

  it.each([
    ['once', { outcome: 'unknown' }],
    ['read', undefined],
  ])('ends a %s action at its deadline, whether it stops or not', async (effect, details) => {
    const { runner, tasks } = scene(() => new Promise(() => undefined));
    const answer = runner.execute(order('a', { effect, timeout_ms: 20 }));
    await expect(answer).rejects.toMatchObject({ message: 'it was not done within 20 ms', details });
    expect(tasks[0]?.signal.aborted).toBe(true);
  });

  it('aborts what runs and begins nothing more once it is stopped', async () => {
    const { runner, tasks } = scene(() => new Promise(() => undefined), { maxConcurrent: 1 });
    const [running, waiting] = [runner.execute(order('a')), runner.execute(order('b'))];
    await settled();
    runner.stop('the pairing has ended');
    await expect(running).rejects.toMatchObject({ message: 'the pairing has ended' });
    await expect(waiting).rejects.toMatchObject({ code: 'overloaded' });
    await expect(runner.execute(order('c'))).rejects.toMatchObject({ code: 'overloaded' });
    await runner.idle();
    expect(tasks).toHaveLength(1);
  });

  it.each([
    ['once', { outcome: 'unknown' }],
    ['read', undefined],
  ])('aborts a %s action that is cancelled, and that one alone', async (effect, details) => {
    const { runner, tasks } = scene(() => new Promise(() => undefined));
    const [cancelled, other] = [runner.execute(order('a', { effect })), runner.execute(order('b'))];
    other.catch(() => undefined);
    await settled();
    expect([runner.cancel('a', 'its turn has ended'), runner.cancel('c', '')]).toEqual([true, false]);
    await expect(cancelled).rejects.toMatchObject({
      code: 'conflict',
      message: 'it was cancelled: its turn has ended',
      details,
    });
    expect(tasks.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    // Asked again, it answers the same.
    await expect(runner.execute(order('a', { effect }))).rejects.toMatchObject({ code: 'conflict' });
    expect([tasks.length, runner.cancel('a', '')]).toEqual([2, false]);
  });

  it('takes back what waits for its place, and says that it never began', async () => {
    const gate = gates();
    const { runner, tasks } = scene(gate.run, { maxConcurrent: 1 });
    const [first, waiting] = [runner.execute(order('a')), runner.execute(order('b'))];
    await settled();
    expect(runner.cancel('b', 'its turn has ended')).toBe(true);
    gate.open();
    await first;
    await expect(waiting).rejects.toMatchObject({ code: 'conflict', details: undefined });
    expect(tasks).toHaveLength(1);
  });

  it('begins nothing that it could not note down', async () => {
    const journal: DispatchJournal = new MemoryDispatchJournal();
    journal.begin = () => Promise.reject(new Error('the disk is full'));
    const { runner, tasks, troubles } = scene(undefined, { journal: journal as MemoryDispatchJournal });
    await expect(runner.execute(order('a'))).rejects.toMatchObject({ code: 'overloaded' });
    expect([tasks.length, troubles.length]).toEqual([0, 1]);
  });

  it('finds an operation of a family, and the single one before the family', async () => {
    const more = ['tyrum.desktop', 'tyrum.desktop.click'].map((id) => ({
      id,
      version: '1.0.0',
      run: ({ op }: CapabilityTask) => Promise.resolve(`${id} ${op}`),
    }));
    const { runner } = scene(undefined, { more });
    expect(await runner.execute(order('a', { op: 'click' }, 'Desktop'))).toEqual({
      result: 'tyrum.desktop.click click',
    });
    expect(await runner.execute(order('b', { op: 'type' }, 'Desktop'))).toEqual({ result: 'tyrum.desktop type' });
    await expect(runner.execute(order('c', { op: 'go' }, 'Browser'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('sends evidence under ids that follow from the dispatch', async () => {
    const { runner, evidence } = scene(async (task) => {
      await task.evidence({ seen: 1 });
      await task.evidence({ seen: 2 });
      return undefined;
    });
    expect(await runner.execute(order('a'))).toEqual({});
    expect(evidence).toEqual([
      [{ dispatch_id: 'a', turn_id: 't', evidence: { seen: 1 } }, 'a/evidence/1'],
      [{ dispatch_id: 'a', turn_id: 't', evidence: { seen: 2 } }, 'a/evidence/2'],
    ]);
  });
});
