import { GroupCommit, OverloadedError } from './group-commit';

const OPTIONS = { maxBatch: 10, maxWaiting: 100 };

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

  it('gathers the next batch while one is under way, up to its limit, and never runs two at once', async () => {
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
});
