import { randomUUID } from 'node:crypto';
import { LocalBackplane } from '@tyrum/backplane';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { openStateStore, UnknownCommitError, type Statement } from '@tyrum/statestore';
import { TurnStore } from '@tyrum/statestore/turns';
import { eventually, startOwnPostgres } from '@tyrum/test-services';
import { cliStep } from './testing';
import { TurnIntake, type AcceptRequest } from './turn-intake';

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });
const reload = sql('select pg_reload_conf()');

describe('the intake when the synchronous standby is dead', () => {
  it('does not wait for ever, does not say that nothing was written, and learns the outcome by the key', async () => {
    const server = await startOwnPostgres();
    const address = { kind: 'postgres', url: server.url } as const;
    const admin = await openStateStore(address, { poolSize: 1 });
    const store = await openStateStore(address, { poolSize: 5, answerTimeoutMs: 1_000 });
    const waitFor = async (standby: string): Promise<void> => {
      await admin.execute(sql(`alter system set synchronous_standby_names = '${standby}'`));
      await admin.execute(reload);
      // Each session reads its settings anew a moment after it was told to.
      const shown = sql('show synchronous_standby_names');
      await eventually(async () =>
        expect(await store.execute(shown)).toEqual([{ synchronous_standby_names: standby }]),
      );
    };
    try {
      const stamps = { newId: randomUUID, nowMs: () => Date.now() };
      const turns = new TurnStore(store);
      const intake = new TurnIntake(store, turns, new IdempotencyLedger(), new LocalBackplane(), stamps);
      const request = acceptRequest();
      await waitFor('dead');
      // The second attempt cannot get past the first one's lock, and that is no answer either.
      await expect(intake.accept(request)).rejects.toThrow(UnknownCommitError);
      await waitFor('');
      expect(await intake.accept(request)).toEqual({ kind: 'accepted', answer: request.answer, replayed: true });
      expect(
        await store.read((db) => turns.list(db, DEFAULT_TENANT_ID, { statuses: ['queued'], limit: 10 })),
      ).toMatchObject([{ turn_id: request.turnId }]);
    } finally {
      await Promise.all([store.close(), admin.close()]);
      await server.stop();
    }
  });
});

function acceptRequest(): AcceptRequest {
  const turnId = randomUUID();
  return {
    tenantId: DEFAULT_TENANT_ID,
    conversationKey: 'agent:default:main',
    turnId,
    kind: 'workflow',
    triggerKind: 'workflow',
    input: { steps: [cliStep('a')] },
    idempotency: {
      tenantId: DEFAULT_TENANT_ID,
      route: 'test',
      principal: 'test',
      key: randomUUID(),
      fingerprint: 'one',
    },
    answer: { turn_id: turnId },
  };
}
