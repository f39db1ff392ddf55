import { randomUUID } from 'node:crypto';
import { OutboxReader } from '@tyrum/outbox';
import { storedEvents } from '@tyrum/outbox/testing';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { StoreUnavailableError, UnknownCommitError, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepOutcome } from './step-executor';
import { cliStep, RecordingObserver, ScriptedExecutor, TestEngine } from './testing';
import { TurnWriter } from './turn-writer';

/** A store whose next COMMIT can be cut off after it took place, and that is then away for a moment. */
class CutStore {
  cutNext = false;
  /** How often somebody wanted to know what became of it. */
  asked = 0;
  private awayFor = 0;

  constructor(private readonly store: StateStore) {}

  asStore(): StateStore {
    return new Proxy(this.store, {
      get: (store, name) => {
        if (name === 'transaction') return this.transaction;
        if (name === 'wasCommitted') return this.wasCommitted;
        const value: unknown = Reflect.get(store, name);
        return typeof value === 'function' ? (value.bind(store) as unknown) : value;
      },
    });
  }

  private readonly transaction: StateStore['transaction'] = async (work) => {
    const value = await this.store.transaction(work);
    if (!this.cutNext) return value;
    this.cutNext = false;
    this.awayFor = 2;
    throw new UnknownCommitError();
  };

  private readonly wasCommitted: StateStore['wasCommitted'] = async (_, eventId = '') => {
    this.asked += 1;
    this.awayFor -= 1;
    if (this.awayFor >= 0) throw new StoreUnavailableError('away', 1);
    return (await this.store.read(storedEvents)).some((event) => event.eventId === eventId);
  };
}

describeOnBothDialects('the turn writer', (stores: () => TestStores) => {
  it('writes once when COMMIT is cut off and the database cannot say at once what became of it', async () => {
    const cut = new CutStore(await stores().open());
    const engine = new TestEngine(await stores().open());
    const stamps = { newId: randomUUID, nowMs: () => Date.now() };
    // Only the writer's commits are cut: a claim that happens to come in between is not what this is about.
    const writer = new TurnWriter(cut.asStore(), engine.turns, engine.backplane, stamps);
    Object.assign(engine, { writer });
    const published = jest.spyOn(engine.backplane, 'publish');
    // What was to travel with the COMMIT went with its connection.
    jest.spyOn(engine.backplane, 'publishBehind').mockReturnValue(() => undefined);
    const observer = new RecordingObserver();
    const executor = new ScriptedExecutor(({ stepIndex }): Promise<StepOutcome> => {
      cut.cutNext = stepIndex === 0;
      return Promise.resolve({ kind: 'succeeded', result: {} });
    });
    const id = await engine.start('agent:default:main', [cliStep('a'), cliStep('b')]);
    engine.process(executor, { observer });
    await eventually(async () => {
      expect((await engine.reader.get(DEFAULT_TENANT_ID, id))?.turn.status).toBe('succeeded');
    });
    await engine.stop();
    const reader = new OutboxReader(engine.store);
    const head = await reader.head();
    const types = await eventually(async () => {
      const { events } = await reader.readAfter({ ...head, xid: '0', id: '0' }, 100);
      const all = events.map(({ type }) => type);
      expect(all).toContain('turn.completed');
      return all;
    });
    expect(types.filter((type) => type === 'tool.lifecycle')).toHaveLength(4);
    expect(cut.asked).toBe(3);
    expect(published.mock.calls.filter(([topic]) => topic === 'outbox')).toHaveLength(1);
    expect(observer.fenced).toEqual([]);
  });
});
