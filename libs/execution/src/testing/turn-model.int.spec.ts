import { checkAgainstModel, describeOnBothDialects } from '@tyrum/statestore/testing';
import { RealTurns } from './real-turns';
import { TURN_ACTS, WAIT_ACTS } from './turn-acts';
import { TurnModel } from './turn-model';

describeOnBothDialects('turns', (stores) => {
  it.each([
    ['whatever is asked, done, lost, cancelled or brought back', TURN_ACTS],
    ['whatever they wait for, and whenever that arrives', WAIT_ACTS],
  ])('are what the model says, %s', async (_, acts) => {
    const [p, q] = [await stores().open(), await stores().open()];
    await checkAgainstModel({
      acts,
      begin: async () => ({ model: new TurnModel(), real: await RealTurns.begin({ p, q }) }),
      runs: 20,
      maxActs: 60,
    });
  });
});
