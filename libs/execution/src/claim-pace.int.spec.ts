import { randomUUID } from 'node:crypto';
import { LocalBackplane, type Backplane } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

describeOnBothDialects('a busy turn processor', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  it('claims less often, and gets to all there is', async () => {
    let goOn: () => void = () => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const executor = new ScriptedExecutor(async () => {
      await held;
      return { kind: 'succeeded', result: {} };
    });
    const start = (i: number) => engine.start(`agent:default:dm:many-${i}`, [cliStep('a')]);
    const ids: string[] = [];
    for (let i = 0; i < 20; i += 1) ids.push(await start(i));
    engine.process(executor);
    await eventually(() => expect(executor.requests).toHaveLength(20));
    const claims = jest.spyOn(engine.turns, 'claim');
    const startedAt = performance.now();
    for (let i = 20; i < 40; i += 1) {
      ids.push(await start(i));
      for (let woken = 0; woken < 10; woken += 1) {
        engine.backplane.publish('work');
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    // One a pause, whatever the machine's speed, and those at both ends.
    expect(claims.mock.calls.length).toBeLessThan((performance.now() - startedAt) / 4 + 3);
    claims.mockRestore();
    await eventually(() => expect(executor.requests).toHaveLength(40));
    goOn();
    await eventually(async () => {
      const turns = await Promise.all(ids.map((id) => engine.reader.get(DEFAULT_TENANT_ID, id)));
      expect(turns.filter((turn) => turn?.turn.status !== 'succeeded')).toEqual([]);
    });
  });
});

/** As between processes: what is published by others reaches this one. */
const connected = () => Object.assign(new LocalBackplane() as Backplane, { kind: 'postgres' as const });

describeOnBothDialects('a turn processor between its polls', (stores: () => TestStores) => {
  let engine: TestEngine;
  let ran: string[];
  let release: (() => void)[];

  beforeEach(async () => {
    engine = new TestEngine(await stores().open(), connected());
    ran = [];
    release = [];
  });
  afterEach(async () => {
    jest.useRealTimers();
    await engine.stop();
  });

  /** Holds each step until the test lets it go on. */
  const holding = () =>
    new ScriptedExecutor(({ conversationKey }) => {
      ran.push(conversationKey);
      return new Promise((resolve) => release.push(() => resolve({ kind: 'succeeded', result: {} })));
    });
  const startMany = async (count: number, on = engine) => {
    for (let i = 0; i < count; i += 1) await on.start(`agent:default:dm:many-${randomUUID()}`, [cliStep('a')]);
  };
  /** Waits without the timers, which stand still. */
  const until = async (condition: () => boolean) => {
    for (const deadline = Date.now() + 10_000; !condition();) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${ran.length} ran`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const stopTimers = () =>
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'Date', 'performance', 'queueMicrotask'] });
  const letAllRun = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      await until(() => release.length > i);
      release[i]?.();
    }
    await until(() => new Set(ran).size === count);
  };

  it('looks when a run ends, if its house was full', async () => {
    await startMany(6);
    stopTimers();
    engine.process(holding(), { concurrency: 2 });
    await letAllRun(6);
  });

  it('looks when a run ends, if it may have freed a place under a cap', async () => {
    await engine.turns.setShare({ tenantId: DEFAULT_TENANT_ID, maxRunning: 1 });
    await startMany(4);
    stopTimers();
    engine.process(holding());
    await letAllRun(4);
  });

  it('looks for what waits under a cap, also when it has looked in vain, or when it came after that', async () => {
    await engine.turns.setShare({ tenantId: DEFAULT_TENANT_ID, maxRunning: 1 });
    await startMany(1);
    const looks = jest.spyOn(engine.turns, 'msUntilDue');
    stopTimers();
    engine.process(holding());
    await until(() => release.length === 1);
    const look = async () => {
      const before = looks.mock.results.length;
      engine.backplane.publish('work');
      await until(() => looks.mock.results.length > before);
      await looks.mock.results.at(-1)?.value;
    };
    await look();
    // Another process, whose wake-up reached a third one, took this.
    const other = new TestEngine(await stores().open());
    await startMany(2, other);
    release[0]?.();
    await until(() => release.length === 2);
    for (let i = 0; i < 3; i += 1) await look();
    release[1]?.();
    await letAllRun(3);
  });

  it('looks again when a run under a cap ends while it looks', async () => {
    await engine.turns.setShare({ tenantId: DEFAULT_TENANT_ID, maxRunning: 1 });
    await startMany(2);
    stopTimers();
    const processor = engine.process(holding());
    await until(() => release.length === 1);
    const look = engine.turns.msUntilDue.bind(engine.turns);
    jest.spyOn(engine.turns, 'msUntilDue').mockImplementation(async (beat) => {
      const answer = await look(beat);
      if (processor.running > 0 && release.length === 1) {
        release[0]?.();
        await until(() => processor.running === 0);
      }
      return answer;
    });
    for (let i = 0; i < 5; i += 1) engine.backplane.publish('work');
    await letAllRun(2);
  });

  it('looks when a run ends, if nobody can call it', async () => {
    const alone = new TestEngine(engine.store);
    await startMany(1, alone);
    stopTimers();
    alone.process(holding());
    await until(() => release.length === 1);
    await startMany(1);
    await letAllRun(2);
    await alone.stop();
  });

  it('does not look when a run ends and nothing can be waiting', async () => {
    const [claims, looks] = [jest.spyOn(engine.turns, 'claim'), jest.spyOn(engine.turns, 'msUntilDue')];
    stopTimers();
    const processor = engine.process(holding());
    await until(() => looks.mock.results.length === 1);
    await startMany(5);
    await until(() => release.length === 5);
    // The last of them may have woken it while it claimed.
    for (let quiet = 0, asked = 0; quiet < 20; quiet += 1) {
      await Promise.all([...claims.mock.results, ...looks.mock.results].map(({ value }) => value as Promise<unknown>));
      await new Promise((resolve) => setImmediate(resolve));
      if (claims.mock.calls.length !== asked) quiet = 0;
      asked = claims.mock.calls.length;
    }
    const before = [claims.mock.calls.length, looks.mock.calls.length];
    for (const goOn of release) goOn();
    await until(() => processor.running === 0);
    expect([claims.mock.calls.length, looks.mock.calls.length]).toEqual(before);
  });
});
