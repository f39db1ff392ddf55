import { openStateStore, type DatabaseAddress } from '@tyrum/statestore';
import { checkAgainstModel } from '@tyrum/statestore/testing';
import { createSqlitePath, startOwnPostgres } from '@tyrum/test-services';
import { OutboxModel } from './outbox-model';
import { OUTBOX_ACTS, RealOutbox } from './real-outbox';

const NAME =
  'is what the model says, whatever is written, rolled back, read, acknowledged or deleted in whatever order';

async function compare(address: DatabaseAddress): Promise<void> {
  const store = await openStateStore(address, { poolSize: 5 });
  try {
    await checkAgainstModel({
      acts: OUTBOX_ACTS,
      begin: async () => {
        const real = await RealOutbox.begin(store);
        return { model: new OutboxModel(address.kind === 'postgres'), real, end: () => real.end() };
      },
      runs: 40,
      maxActs: 60,
    });
  } finally {
    await store.close();
  }
}

describe('the outbox', () => {
  it(`on sqlite ${NAME}`, async () => {
    const { path, remove } = createSqlitePath();
    try {
      await compare({ kind: 'sqlite', path });
    } finally {
      remove();
    }
  });

  // A server of its own: any transaction on a shared one moves the place up to which events may be read.
  it(`on postgres ${NAME}`, async () => {
    const server = await startOwnPostgres({ autovacuum: 'off', fsync: 'off' });
    try {
      await compare({ kind: 'postgres', url: server.url });
    } finally {
      await server.stop();
    }
  });
});
