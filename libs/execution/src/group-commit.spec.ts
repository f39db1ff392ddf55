import { eventually } from '@tyrum/test-services';
import { GroupCommit, OverloadedError } from './group-commit';

const OPTIONS = { maxBatch: 10, maxWaiting: 100, lanes: 1, keyOf: String };

function gate(): { open: () => void; passed: Promise<void> } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

describe('GroupCommit', () => {
  it('flushes together what arrives together and answers each with its own result', async () => {
    const batches: number[][] = [];
    const commits = new GroupCommit<number, number>((ops) => {
      batches.push([...ops]);
      return Promise.resolve(ops.map((n) => n * 2));
    }, OPTIONS);
    expect(await Promise.all([1, 2, 3].map((n) => commits.submit(n)))).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  it('gathers the next batch while one is under way, up to its limit, and has no more under way than lanes', async () => {
    const first = gate();
    const batches: number[] = [];
    let active = 0;
    const commits = new GroupCommit<number, number>(async (ops) => {
      active += 1;
      expect(active).toBe(1);
      batches.push(ops.length);
      if (batches.length === 1) await first.passed;
      active -= 1;
      return ops;
    }, OPTIONS);
    const one = commits.submit(0);
    await new Promise((resolve) => setImmediate(resolve));
    const rest = Array.from({ length: 15 }, (_, i) => commits.submit(i));
    first.open();
    await Promise.all([one, ...rest]);
    expect(batches).toEqual([1, 10, 5]);
  });

  it('does not resolve before the flush has returned', async () => {
    const commit = gate();
    const commits = new GroupCommit<number, number>(async (ops) => (await commit.passed, ops), OPTIONS);
    let answered = false;
    const submitted = commits.submit(1).then(() => (answered = true));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    commit.open();
    await submitted;
  });

  it('writes companions of an operation that cannot be written one by one', async () => {
    const commits = new GroupCommit<string, string>((ops) => {
      return ops.includes('bad') ? Promise.reject(new Error('constraint')) : Promise.resolve(ops);
    }, OPTIONS);
    const settled = await Promise.allSettled(['a', 'bad', 'b'].map((op) => commits.submit(op)));
    expect(settled.map((s) => s.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('does not write again when the database is away or the commit is unknown', async () => {
    let flushes = 0;
    const commits = new GroupCommit<number, number>(() => {
      flushes += 1;
      return Promise.reject(Object.assign(new Error('gone'), { code: 'commit_unknown' }));
    }, OPTIONS);
    const settled = await Promise.allSettled([1, 2].map((n) => commits.submit(n)));
    expect(settled.map((s) => s.status)).toEqual(['rejected', 'rejected']);
    expect(flushes).toBe(1);
  });

  it('refuses what does not fit into the queue', async () => {
    const hold = gate();
    const commits = new GroupCommit<number, number>(async (ops) => (await hold.passed, ops), {
      ...OPTIONS,
      maxBatch: 1,
      maxWaiting: 2,
    });
    const first = commits.submit(0);
    await new Promise((resolve) => setImmediate(resolve));
    const waiting = [commits.submit(1), commits.submit(2)];
    await expect(commits.submit(3)).rejects.toBeInstanceOf(OverloadedError);
    hold.open();
    await Promise.all([first, ...waiting, commits.idle()]);
  });

  it('parts what waits between its lanes, but never has two operations of one key under way', async () => {
    const gates = new Map<string, ReturnType<typeof gate>>();
    const flushed: string[][] = [];
    const commits = new GroupCommit<string, string>(
      async (ops) => {
        flushed.push([...ops]);
        const held = gate();
        gates.set(ops[0] as string, held);
        await held.passed;
        return ops;
      },
      { ...OPTIONS, maxBatch: 100, lanes: 2, keyOf: (op) => op.split(' ')[0] as string },
    );
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const first = Array.from({ length: 40 }, (_, i) => commits.submit(`${i} first`));
    await turn();
    await turn();
    expect(flushed.map((ops) => ops.length)).toEqual([20, 20]);
    const second = [commits.submit('0 second'), commits.submit('39 second'), commits.submit('0 third')];
    gates.get('20 first')?.open();
    await eventually(() => expect(flushed.slice(2)).toEqual([['39 second']]));
    gates.get('0 first')?.open();
    await Promise.all(first);
    await eventually(() => expect(flushed.slice(3)).toEqual([['0 second', '0 third']]));
    gates.get('39 second')?.open();
    gates.get('0 second')?.open();
    await Promise.all([...second, commits.idle()]);
  });

  it('has a few wait for a small flush under way, but not for ever, and not many', async () => {
    const gates: ReturnType<typeof gate>[] = [];
    const flushed: number[][] = [];
    const commits = new GroupCommit<number, number>(
      async (ops) => {
        flushed.push([...ops]);
        const held = gate();
        gates.push(held);
        await held.passed;
        return ops;
      },
      { ...OPTIONS, maxBatch: 100, lanes: 2 },
    );
    const turns = async () => {
      for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    const all = [commits.submit(0)];
    const submit = (count: number) => {
      for (let i = 0; i < count; i += 1) all.push(commits.submit(all.length));
      return turns();
    };
    const sizes = () => flushed.map((ops) => ops.length);
    await turns();
    await submit(15);
    expect(sizes()).toEqual([1]);
    gates[0]?.open();
    await turns();
    expect(sizes()).toEqual([1, 15]);
    await submit(16);
    expect(sizes()).toEqual([1, 15, 16]);
    gates[1]?.open();
    await turns();
    // Beside a flush that takes longer.
    await submit(1);
    expect(sizes()).toEqual([1, 15, 16, 1]);
    gates[2]?.open();
    await turns();
    await submit(1);
    expect(sizes()).toEqual([1, 15, 16, 1]);
    // The flush under way does not end.
    jest.advanceTimersByTime(10);
    jest.useRealTimers();
    await turns();
    expect(sizes()).toEqual([1, 15, 16, 1, 1]);
    for (const held of gates) held.open();
    await Promise.all([...all, commits.idle()]);
  });
});
