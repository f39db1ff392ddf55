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

describeOnBothDialects('a turn processor between its polls', (stores: () => TestStores) => {
  let engine: TestEngine;
  let ran: string[];
  let release: (() => void)[];

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
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
  const startMany = async (count: number) => {
    for (let i = 0; i < count; i += 1) await engine.start(`agent:default:dm:many-${i}`, [cliStep('a')]);
  };
  /** Waits without the timers, which stand still. */
  const until = async (condition: () => boolean) => {
    for (const deadline = Date.now() + 10_000; !condition();) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${ran.length} ran`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const stopPolls = () =>
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'Date', 'performance', 'queueMicrotask'] });

  it('looks when a run ends, if its house was full', async () => {
    await startMany(6);
    stopPolls();
    engine.process(holding(), { concurrency: 2 });
    for (let i = 0; i < 6; i += 1) {
      await until(() => release.length > i);
      release[i]?.();
    }
    await until(() => new Set(ran).size === 6);
  });

  it('looks when a run ends, if it may have freed a place under a cap', async () => {
    await engine.turns.setShare({ tenantId: DEFAULT_TENANT_ID, maxRunning: 1 });
    await startMany(4);
    stopPolls();
    engine.process(holding());
    for (let i = 0; i < 4; i += 1) {
      await until(() => release.length > i);
      release[i]?.();
    }
    await until(() => new Set(ran).size === 4);
  });

  it('does not look when a run ends and nothing can be waiting', async () => {
    const [claims, looks] = [jest.spyOn(engine.turns, 'claim'), jest.spyOn(engine.turns, 'msUntilDue')];
    stopPolls();
    const processor = engine.process(holding());
    await until(() => looks.mock.results.length === 1);
    await startMany(5);
    await until(() => release.length === 5);
    const before = [claims.mock.calls.length, looks.mock.calls.length];
    for (const goOn of release) goOn();
    await until(() => processor.running === 0);
    expect([claims.mock.calls.length, looks.mock.calls.length]).toEqual(before);
  });
});
