import { checkAgainstModel, describeOnBothDialects } from '@tyrum/statestore/testing';
import { LEASE_ACTS, LeaseModel, RealLeases } from './lease-model';

describeOnBothDialects('leases', (stores) => {
  it('are what the model says, whatever three owners do in whatever order', async () => {
    const opened = [await stores().open(), await stores().open(), await stores().open()];
    await checkAgainstModel({
      acts: LEASE_ACTS,
      begin: async () => ({ model: new LeaseModel(), real: await RealLeases.begin(opened) }),
      runs: 40,
    });
  });
});
