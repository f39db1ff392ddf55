import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepOutcome } from './step-executor';
import { cliStep, RecordingObserver, ScriptedExecutor, TestEngine } from './testing';

const OK: StepOutcome = { kind: 'succeeded', result: { output: 'ok' } };
const CONVERSATION = 'agent:default:main';

describeOnBothDialects('a worker with the turns of its claim', (stores: () => TestStores) => {
  let engine: TestEngine;

  beforeEach(async () => {
    engine = new TestEngine(await stores().open());
  });
  afterEach(() => engine.stop());

  const status = async (id: string) => (await engine.reader.get(DEFAULT_TENANT_ID, id))?.turn.status;

  it('lets a conversation go after its slice, with each turn in order and none left behind', async () => {
    const executor = new ScriptedExecutor(() => Promise.resolve(OK));
    const observer = new RecordingObserver();
    const claims = jest.spyOn(observer, 'conversationsClaimed');
    const ids: string[] = [];
    for (const effect of ['read', 'once', 'read', 'read', 'once'] as const) {
      ids.push(await engine.start(CONVERSATION, [cliStep('x', effect)]));
    }
    engine.process(executor, { sliceMs: 0, observer });
    await eventually(async () => expect(await Promise.all(ids.map(status))).toEqual(ids.map(() => 'succeeded')));
    expect(executor.requests.map(({ turnId }) => turnId)).toEqual(ids);
    expect(claims).toHaveBeenCalledTimes(ids.length);
  });

  it('leaves a turn to others that it claimed again as it was told to stop', async () => {
    const busy: StepOutcome = { kind: 'failed', error: { code: 'busy', message: 'busy' }, retryable: true };
    const outcomes = [busy, OK];
    const executor = new ScriptedExecutor(() => Promise.resolve(outcomes.shift() ?? OK));
    const claim = engine.turns.claim.bind(engine.turns);
    let claims = 0;
    let stopping: Promise<void> | undefined;
    jest.spyOn(engine.turns, 'claim').mockImplementation(async (...asked) => {
      const claimed = await claim(...asked);
      if (claimed.length > 0 && (claims += 1) === 2) stopping = leaving.stopClaiming();
      return claimed;
    });
    const leaving = engine.process(executor);
    const id = await engine.start(CONVERSATION, [cliStep('x')]);
    await eventually(() => expect(stopping).toBeDefined());
    await stopping;
    await leaving.finish(AbortSignal.timeout(10_000));
    expect(executor.requests).toHaveLength(1);
    engine.process(executor);
    await eventually(async () => expect(await status(id)).toBe('succeeded'));
  });
});
