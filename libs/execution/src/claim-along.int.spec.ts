import { AsyncLocalStorage } from 'node:async_hooks';
import { LocalBackplane } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { StoreUnavailableError, UnknownCommitError, type StateStore, type Tx } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { cliStep, RecordingObserver, ScriptedExecutor, TestEngine } from './testing';

/** Does not call its own process either, unless the test wants it: what runs then was claimed along. */
class MutedBackplane extends LocalBackplane {
  muted = true;
  /** Wake-ups for workers. */
  calls = 0;
  override publish(topic: Parameters<LocalBackplane['publish']>[0], payload?: string): void {
    if (topic === 'work') this.calls += 1;
    if (topic !== 'work' || !this.muted) super.publish(topic, payload);
  }
}

describeOnBothDialects('a claim in the transaction that accepts', (stores: () => TestStores) => {
  let store: StateStore;
  let backplane: MutedBackplane;
  let engine: TestEngine;
  let observer: RecordingObserver;
  let running: number;
  let most: number;
  let release: (() => void)[];

  beforeEach(async () => {
    store = await stores().open();
    backplane = new MutedBackplane();
    engine = new TestEngine(store, backplane);
    observer = new RecordingObserver();
    [running, most, release] = [0, 0, []];
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    jest.useRealTimers();
    for (const goOn of release) goOn();
    await engine.stop();
    expect(observer.troubles).toEqual([]);
  });

  /** Holds each step until the test lets it go on. */
  const holding = (began?: () => void) =>
    new ScriptedExecutor(async () => {
      began?.();
      most = Math.max(most, (running += 1));
      await new Promise<void>((resolve) => release.push(resolve));
      running -= 1;
      return { kind: 'succeeded', result: {} };
    });
  const start = (name: string) => engine.start(`agent:default:dm:${name}`, [cliStep('a', 'read')]);
  const statusOf = async (id: string) => (await engine.reader.get(DEFAULT_TENANT_ID, id))?.turn.status;
  /** Waits without the timers, which stand still. */
  const until = async (condition: () => boolean) => {
    for (const deadline = Date.now() + 10_000; !condition();) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${release.length} have begun`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const letRun = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      await until(() => release.length > i);
      release[i]?.();
    }
  };
  /** Lets the first claim and look pass, which find nothing; after them nothing comes by itself. */
  const process = async (options: { concurrency?: number; leaseTtlMs?: number } = {}, began?: () => void) => {
    const looks = jest.spyOn(engine.turns, 'msUntilDue');
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'Date', 'performance', 'queueMicrotask'] });
    const processor = engine.process(holding(began), { observer, claimsAlong: true, ...options });
    await until(() => looks.mock.results.length > 0);
    await looks.mock.results[0]?.value;
    return processor;
  };

  it('runs the turns without a wake-up, and wakes nobody when it got them all', async () => {
    await process();
    const claims = jest.spyOn(engine.turns, 'claim');
    await Promise.all(['a', 'b', 'c'].map(start));
    await until(() => release.length === 3);
    expect(backplane.calls).toBe(0);
    expect(claims).not.toHaveBeenCalled();
  });

  it('takes no more than there is room for, and says that there is more', async () => {
    const processor = await process({ concurrency: 2 });
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(start));
    await until(() => release.length === 2);
    expect(backplane.calls).toBeGreaterThan(0);
    backplane.muted = false;
    await letRun(5);
    await until(() => processor.running === 0);
    expect(most).toBe(2);
  });

  it('takes what has waited for longer first', async () => {
    await process({ concurrency: 1 });
    const unheard = new TestEngine(store);
    const older = await unheard.start('agent:default:dm:older', [cliStep('a')]);
    const newer = await start('newer');
    await until(() => release.length === 1);
    expect(await Promise.all([older, newer].map(statusOf))).toEqual(['running', 'queued']);
    expect(backplane.calls).toBe(1);
  });

  it('gives the room back when the transaction does not commit, and what it had locked is looked for', async () => {
    const processor = await process({ concurrency: 1 });
    jest.spyOn(backplane, 'publishBehind').mockImplementationOnce(() => {
      throw new StoreUnavailableError('gone', 1);
    });
    await expect(start('refused')).rejects.toThrow('gone');
    expect(processor.running).toBe(0);
    expect(backplane.calls).toBe(1);
    await start('kept');
    await until(() => release.length === 1);
  });

  it('leaves what an unknown commit claimed to the end of its lease', async () => {
    await process({ leaseTtlMs: 1_000 });
    const { transaction } = store;
    jest.spyOn(store, 'transaction').mockImplementationOnce((async (work: (tx: Tx) => Promise<unknown>) => {
      await transaction.call(store, work);
      throw new UnknownCommitError();
    }) as StateStore['transaction']);
    const id = await start('a');
    expect(release).toEqual([]);
    jest.useRealTimers();
    backplane.muted = false;
    await eventually(() => {
      backplane.publish('work');
      expect(release).toHaveLength(1);
    });
    release[0]?.();
    await eventually(async () => expect(await statusOf(id)).toBe('succeeded'));
  });

  it('accepts all the same where nothing can be claimed', async () => {
    await process();
    const claimIn = engine.turns.claimIn.bind(engine.turns);
    // No database takes it for a time.
    jest
      .spyOn(engine.turns, 'claimIn')
      .mockImplementationOnce((tx, owner, _, ...rest) => claimIn(tx, owner, NaN, ...rest));
    backplane.muted = false;
    await start('a');
    await until(() => release.length === 1);
  });

  it('takes no room that the poll may be filling', async () => {
    const processor = await process({ concurrency: 2 });
    const unheard = new TestEngine(store);
    for (const name of ['a', 'b']) await unheard.start(`agent:default:dm:${name}`, [cliStep('a')]);
    const claim = engine.turns.claim.bind(engine.turns);
    let [asked, goOn] = [false, (): void => undefined];
    const held = new Promise<void>((resolve) => (goOn = resolve));
    jest.spyOn(engine.turns, 'claim').mockImplementationOnce(async (...params) => {
      const claimed = await claim(...params);
      asked = true;
      await held;
      return claimed;
    });
    backplane.muted = false;
    backplane.publish('work');
    await until(() => asked);
    await start('c');
    goOn();
    await letRun(3);
    await until(() => processor.running === 0);
    expect(most).toBe(2);
  });

  it('does not run what it took in the context of the request', async () => {
    const requests = new AsyncLocalStorage<string>();
    const contexts: unknown[] = [];
    await process({}, () => contexts.push(requests.getStore()));
    await requests.run('a request', () => start('a'));
    await until(() => contexts.length === 1);
    expect(contexts).toEqual([undefined]);
  });

  it('stays out of it where shares have caps', async () => {
    await engine.turns.setShare({ tenantId: DEFAULT_TENANT_ID, maxRunning: 1 });
    await process();
    const claims = jest.spyOn(engine.turns, 'claimIn');
    backplane.muted = false;
    await Promise.all(['a', 'b', 'c'].map(start));
    expect(claims).not.toHaveBeenCalled();
    await letRun(3);
    await until(() => running === 0);
    expect(most).toBe(1);
  });

  it('is waited for at the end, and what it brought is let go', async () => {
    const processor = await process();
    const { transaction } = store;
    let goOn = (): void => undefined;
    const committing = new Promise<void>((resolve) => (goOn = resolve));
    let worked = false;
    jest.spyOn(store, 'transaction').mockImplementationOnce((async (work: (tx: Tx) => Promise<unknown>) =>
      transaction.call(store, async (tx) => {
        const value = await work(tx);
        worked = true;
        await committing;
        return value;
      })) as StateStore['transaction']);
    const accepted = start('a');
    await until(() => worked);
    let stopped = false;
    const stopping = processor.stopClaiming().then(() => (stopped = true));
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    goOn();
    const id = await accepted;
    await stopping;
    await processor.finish(AbortSignal.abort());
    expect(await statusOf(id)).toBe('queued');
    expect(release).toEqual([]);
    const other = new TestEngine(store);
    other.process(holding(), { observer });
    await until(() => release.length === 1);
    release[0]?.();
    jest.useRealTimers();
    await eventually(async () => expect(await statusOf(id)).toBe('succeeded'));
    await other.stop();
  });
});
