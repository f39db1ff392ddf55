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
