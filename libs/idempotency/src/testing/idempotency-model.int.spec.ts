import { checkAgainstModel, describeOnBothDialects } from '@tyrum/statestore/testing';
import { IdempotencyModel } from './idempotency-model';
import { IDEMPOTENCY_ACTS, RealKeys } from './real-keys';

describeOnBothDialects('idempotency keys', (stores) => {
  it('are what the model says, whatever is asked, fails or runs out in whatever order', async () => {
    const [store, other] = [await stores().open(), await stores().open()];
    await checkAgainstModel({
      acts: IDEMPOTENCY_ACTS,
      begin: async () => ({ model: new IdempotencyModel(), real: await RealKeys.begin(store, other) }),
      runs: 30,
    });
  });
});
