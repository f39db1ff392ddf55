import { randomUUID } from 'node:crypto';
import { LocalBackplane } from '@tyrum/backplane';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { openStateStore, UnknownCommitError, type Statement, type Tx } from '@tyrum/statestore';
import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { TurnStore } from '@tyrum/statestore/turns';
import { eventually, startOwnPostgres } from '@tyrum/test-services';
import { cliStep, TestEngine } from './testing';
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

describeOnBothDialects('a copy of an accepted request', (stores: () => TestStores) => {
  it('is answered like it, whatever its own writes would have met', async () => {
    const store = await stores().open();
    const engine = new TestEngine(store);
    const wrote: string[] = [];
    const alongside = async (tx: Tx): Promise<void> => {
      await tx.query({ name: 'note', postgres: text, sqlite: text });
      wrote.push('once');
    };
    const text = `insert into tenant (tenant_id, slug, created_at) values ('${randomUUID()}', 'mine', 1)`;
    const request = { ...acceptRequest(), alongside };
    expect(await engine.intake.accept(request)).toMatchObject({ kind: 'accepted', replayed: false });
    // The same row and the same turn again: neither may be written, and neither is an error.
    expect(await engine.intake.accept(request)).toEqual({ kind: 'accepted', answer: request.answer, replayed: true });
    expect(wrote).toEqual(['once']);
    const other = {
      turnId: randomUUID(),
      conversationKey: 'agent:default:x:dm:other',
      idempotency: { ...request.idempotency, fingerprint: 'two' },
    };
    const copies = [acceptRequest(), request, { ...request, ...other }];
    const outcomes = await Promise.all(copies.map((copy) => engine.intake.accept(copy)));
    expect(outcomes).toMatchObject([{ replayed: false }, { replayed: true }, { kind: 'conflict' }]);
    expect((await engine.reader.list(DEFAULT_TENANT_ID, { statuses: ['queued'], limit: 10 })).turns).toHaveLength(2);
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
