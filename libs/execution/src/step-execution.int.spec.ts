import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import type { StepOutcome } from './step-executor';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

describeOnBothDialects('a step that is executed', (stores: () => TestStores) => {
  it('says who chose it: the caller of a workflow, or the model of a chat', async () => {
    const engine = new TestEngine(await stores().open());
    const calls = [{ call_id: 'a', tool: 'run', input: {}, action: cliStep('true') }];
    const executor = new ScriptedExecutor(({ action, stepIndex }) => {
      const said = { text: 'done', calls: stepIndex === 0 ? calls : [] };
      const outcome = { kind: 'succeeded', result: action.type === 'Llm' ? said : {} };
      return Promise.resolve(outcome as unknown as StepOutcome);
    });
    engine.process(executor);
    await engine.start('agent:default:dm:workflow', [cliStep('true')]);
    await engine.say('agent:default:dm:chat', 'do it');
    await eventually(() => expect(executor.requests.length).toBe(4));
    const chosen = executor.requests.map(
      ({ conversationKey, action, chosenBy }) => `${conversationKey.split(':')[3]} ${action.type} ${chosenBy}`,
    );
    expect(chosen.sort()).toEqual(['chat CLI model', 'chat Llm model', 'chat Llm model', 'workflow CLI caller']);
    await engine.stop();
  });
});
