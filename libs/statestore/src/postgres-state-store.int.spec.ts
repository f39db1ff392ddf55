import { randomUUID } from 'node:crypto';
import { createPostgresDatabase, eventually, type TestDatabase } from '@tyrum/test-services';
import { StoreUnavailableError, UnknownCommitError } from './errors';
import { PostgresNotifications } from './postgres-notifications';
import { PostgresStateStore } from './postgres-state-store';
import { Tenants } from './records';
import type { StateStore, Statement, Tx } from './state-store';
import { startCommitCutter } from './testing/commit-cutter';

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });
const put = sql(`insert into outbox_cursor (consumer, xid, id, updated_at) values ($1, '0', 0, 0)`);
const touch = sql('update outbox_cursor set id = id + 1 where consumer = $1');
const list = sql('select consumer from outbox_cursor order by consumer');
const currentId = sql('select pg_current_xact_id()::text as xid, pg_backend_pid() as pid');
const terminate = sql('select pg_terminate_backend($1::int)');
const terminateOthers = sql(`select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()`);

async function names(store: StateStore): Promise<string[]> {
  return (await store.execute<{ consumer: string }>(list)).map((row) => row.consumer);
}

describe('PostgresStateStore', () => {
  let database: TestDatabase;
  let store: PostgresStateStore;
  const opened: PostgresStateStore[] = [];

  beforeEach(async () => {
    database = await createPostgresDatabase();
    store = await open({ url: database.url });
  });

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await database.drop();
  });

  async function open(options: Parameters<typeof PostgresStateStore.open>[0]): Promise<PostgresStateStore> {
    const created = await PostgresStateStore.open({ poolSize: 5, ...options });
    opened.push(created);
    return created;
  }

  it('runs a transaction again that lost a deadlock', async () => {
    await store.execute(put, ['a']);
    await store.execute(put, ['b']);
    let attempts = 0;
    let arrived = 0;
    let meet: () => void = () => {};
    const met = new Promise<void>((resolve) => (meet = resolve));
    const touchBoth = (first: string, second: string) => async (tx: Tx) => {
      attempts += 1;
      await tx.query(touch, [first]);
      if ((arrived += 1) === 2) meet();
      await met;
      await tx.query(touch, [second]);
    };
    await Promise.all([store.transaction(touchBoth('a', 'b')), store.transaction(touchBoth('b', 'a'))]);
    expect(attempts).toBe(3);
    expect(await store.execute(sql('select id from outbox_cursor'))).toEqual([{ id: 2 }, { id: 2 }]);
  });

  it('gives up after so many serialization failures', async () => {
    let attempts = 0;
    const impatient = await open({ url: database.url, maxAttempts: 3 });
    const unlucky = impatient.transaction(async (tx) => {
      attempts += 1;
      await tx.query(sql(`do $$ begin raise exception 'again' using errcode = '40001'; end $$`));
    });
    await expect(unlucky).rejects.toThrow(StoreUnavailableError);
    expect(attempts).toBe(3);
  });

  it('says that nothing was written when the session ends inside a transaction, and goes on', async () => {
    const cut = store.transaction(async (tx) => {
      await tx.query(put, ['lost']);
      const [session] = await tx.query<{ pid: number }>(currentId);
      await outside(database, (admin) => admin.execute(terminate, [session?.pid ?? 0]));
      await tx.query(put, ['never']);
    });
    await expect(cut).rejects.toThrow(StoreUnavailableError);
    await store.transaction((tx) => tx.query(put, ['kept']));
    expect(await names(store)).toEqual(['kept']);
  });

  it('does not call a commit unknown that was never sent', async () => {
    const cut = store.transaction(async (tx) => {
      await tx.query(put, ['lost']);
      const [session] = await tx.query<{ pid: number }>(currentId);
      await outside(database, (admin) => admin.execute(terminate, [session?.pid ?? 0]));
      // The work ends when the loss is known here.
      await eventually(() => expect((tx.manager.queryRunner as { isReleased: boolean }).isReleased).toBe(true));
    });
    await expect(cut).rejects.toThrow(StoreUnavailableError);
    expect(await names(store)).toEqual([]);
  });

  it('outlives the loss of idle connections', async () => {
    const errors: Error[] = [];
    const idle = await open({ url: database.url, onPoolError: (error) => errors.push(error) });
    await Promise.all(Array.from({ length: 5 }, () => idle.execute(sql('select pg_sleep(0.05)'))));
    await outside(database, (admin) => admin.execute(terminateOthers));
    await eventually(() => expect(errors.length).toBeGreaterThan(0));
    // A connection whose loss has not been noticed yet may still be handed out; that is told as any other loss.
    await eventually(() => idle.ping());
    await idle.transaction((tx) => tx.query(put, ['kept']));
    expect(await names(idle)).toEqual(['kept']);
  });

  it.each([
    ['cut-before', false],
    ['cut-after', true],
  ] as const)('says that a commit is unknown when its connection is %s, and finds out', async (fate, committed) => {
    const cutter = await startCommitCutter(database.url);
    try {
      const through = await open({ url: cutter.url });
      let id = '';
      const cut = through.transaction(async (tx) => {
        await tx.query(put, ['perhaps']);
        id = (await tx.query<{ xid: string }>(currentId))[0]?.xid ?? '';
        cutter.fate = fate;
      });
      await expect(cut).rejects.toThrow(UnknownCommitError);
      expect(await through.wasCommitted(id)).toBe(committed);
      expect(await names(through)).toEqual(committed ? ['perhaps'] : []);
    } finally {
      await Promise.all(opened.splice(0).map((each) => each.close()));
      await cutter.close();
    }
  });

  it('does not take another transaction for one whose id it has got', async () => {
    const eventId = randomUUID();
    const append = sql(
      `insert into outbox (tenant_id, events, occurred_at) values ($1, $2, 0) returning xid::text as xid`,
    );
    const events = JSON.stringify([{ event_id: randomUUID() }, { event_id: eventId }]);
    const [row] = await store.execute<{ xid: string }>(append, [randomUUID(), events]);
    const id = row?.xid ?? '';
    expect(await store.wasCommitted(id, eventId)).toBe(true);
    expect(await store.wasCommitted(id, randomUUID())).toBe(false);
    // One of a transaction that a crash or a failover has forgotten, and that nobody has been given again.
    expect(await store.wasCommitted(String(BigInt(id) + 1_000_000n))).toBe(false);
  });

  it('does not wait for ever for an answer: the outcome is unknown then, and another connection goes on', async () => {
    const cutter = await startCommitCutter(database.url);
    try {
      const through = await open({ url: cutter.url, answerTimeoutMs: 300 });
      let id = '';
      const silent = through.transaction(async (tx) => {
        await tx.query(put, ['perhaps']);
        id = (await tx.query<{ xid: string }>(currentId))[0]?.xid ?? '';
        cutter.fate = 'silence';
      });
      await expect(silent).rejects.toThrow(UnknownCommitError);
      expect(await through.wasCommitted(id)).toBe(true);
      await expect(through.execute(sql('select pg_sleep(10)'))).rejects.toThrow(StoreUnavailableError);
      expect(await names(through)).toEqual(['perhaps']);
    } finally {
      await Promise.all(opened.splice(0).map((each) => each.close()));
      await cutter.close();
    }
  });

  it('notices that the server made a rollback of a COMMIT', async () => {
    const work = async (tx: Tx): Promise<void> => {
      await tx.query(put, ['lost']);
      // Past `tx.query`, so that only the server knows that a statement failed.
      await tx
        .records(Tenants)
        .insert({ tenant_id: 'no uuid', slug: 'x', created_at: 0, disabled_at: null })
        .catch(() => {});
    };
    await expect(store.transaction(work)).rejects.toThrow('nothing was committed');
    expect(await names(store)).toEqual([]);
  });

  it('lets writers of different conversations work at the same time', async () => {
    const ref = (conversationKey: string) => ({ tenantId: '00000000-0000-4000-8000-000000000001', conversationKey });
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const holder = store.transaction(async (tx) => {
      await tx.lockConversations([ref('A'), ref('B')]);
      await released;
    });
    await store.transaction((tx) => tx.lockConversations([ref('C'), ref('D')]));
    release();
    await holder;
  });

  it('gives a transaction its id at its first write and not when it locks conversations', async () => {
    await store.transaction(async (tx) => {
      await tx.lockConversations([{ tenantId: 'x', conversationKey: 'A' }]);
      const assigned = sql('select pg_current_xact_id_if_assigned()::text as xid');
      expect(await tx.query(assigned)).toEqual([{ xid: null }]);
      await tx.query(put, ['a']);
      expect(await tx.query(assigned)).toEqual([{ xid: expect.any(String) as string }]);
    });
  });

  it('notifies behind a COMMIT and not behind a rollback', async () => {
    const one = await open({ url: database.url, poolSize: 1 });
    const heard: string[] = [];
    let listening = false;
    const listener = new PostgresNotifications({ url: database.url });
    listener.listen(
      'test',
      (text) => heard.push(text),
      () => (listening = true),
    );
    await eventually(() => expect(listening).toBe(true));
    await expect(
      one.transaction(async (tx) => {
        tx.notifyBehind('test', ['rolled back']);
        await tx.query(put, ['a']);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    const notified = await one.transaction(async (tx) => {
      await tx.query(put, ['b']);
      return tx.notifyBehind('test', [`it's`, '{"a":1}']);
    });
    expect(notified).toBe(true);
    await eventually(() => expect(heard).toEqual([`it's`, '{"a":1}']));
    // Behind the COMMIT and not in the transaction: it is sent where that is refused, too.
    await one.execute(sql('create table strict (x int unique deferrable initially deferred)'));
    const refused = one.transaction(async (tx) => {
      await tx.query(sql('insert into strict values (1), (1)'));
      tx.notifyBehind('test', ['refused']);
    });
    await expect(refused).rejects.toThrow('strict');
    await eventually(() => expect(heard.at(-1)).toBe('refused'));
    await listener.close();
  });

  it('says so when a NOTIFY behind a COMMIT was not sent', async () => {
    let lost = 0;
    await store.transaction((tx) => {
      // Longer than Postgres takes.
      tx.notifyBehind('test', ['x'.repeat(8_001)], () => (lost += 1));
      return tx.query(put, ['a']);
    });
    await eventually(() => expect(lost).toBe(1));
    expect(await names(store)).toEqual(['a']);
  });

  it('opens and works with one connection', async () => {
    const narrow = await open({ url: database.url, poolSize: 1 });
    await Promise.all(Array.from({ length: 10 }, (_, i) => narrow.execute(put, [`${i}`])));
    expect(await names(narrow)).toHaveLength(10);
  });
});

/** Does something in a session of its own. */
async function outside(database: TestDatabase, work: (admin: StateStore) => Promise<unknown>): Promise<void> {
  const admin = await PostgresStateStore.open({ url: database.url, poolSize: 1 });
  await work(admin);
  await admin.close();
}
