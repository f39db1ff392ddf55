import { createSqlitePath } from '@tyrum/test-services';
import { StoreUnavailableError } from './errors';
import { SqliteStateStore } from './sqlite-state-store';
import type { Statement } from './state-store';

const sqlite = (text: string): Statement => ({ name: 'test', postgres: '', sqlite: text });
const start = sqlite(`insert into outbox_cursor (consumer, xid, id, updated_at) values ('n', 0, 0, 0)`);
const read = sqlite(`select id from outbox_cursor where consumer = 'n'`);
const write = sqlite(`update outbox_cursor set id = ?1 where consumer = 'n'`);

describe('SqliteStateStore', () => {
  const opened: SqliteStateStore[] = [];
  let file: ReturnType<typeof createSqlitePath>;

  beforeEach(() => {
    file = createSqlitePath();
  });

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
    file.remove();
  });

  async function open(busyTimeoutMs?: number): Promise<SqliteStateStore> {
    const store = await SqliteStateStore.open({ path: file.path, ...(busyTimeoutMs ? { busyTimeoutMs } : {}) });
    opened.push(store);
    return store;
  }

  it('never shows that the file is busy: two stores, 400 transactions at once, none lost', async () => {
    const [first, second] = [await open(), await open()];
    await first.execute(start);
    const increments = Array.from({ length: 400 }, (_, i) =>
      (i % 2 ? first : second).transaction(async (tx) => {
        const [row] = await tx.query<{ id: number }>(read);
        await tx.query(write, [(row?.id ?? 0) + 1]);
      }),
    );
    await Promise.all(increments);
    expect(await second.execute(read)).toEqual([{ id: 400 }]);
  });

  it('answers reads while a transaction is open, here and elsewhere', async () => {
    const [first, second] = [await open(), await open()];
    await first.execute(start);
    await first.transaction(async (tx) => {
      await tx.query(write, [7]);
      const elsewhere = await second.read((reader) => reader.query(read));
      expect(elsewhere).toEqual([{ id: 0 }]);
    });
  });

  it('says that it is not available when another process keeps the lock for too long', async () => {
    const [first, second] = [await open(), await open(300)];
    await first.execute(start);
    await first.transaction(async () => {
      const error = await second.execute(write, [1]).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect((error as StoreUnavailableError).retryAfterMs).toBeGreaterThan(0);
    });
    await second.execute(write, [2]);
    expect(await first.execute(read)).toEqual([{ id: 2 }]);
  });

  it('writes commits through to the disk', async () => {
    const store = await open();
    expect(await store.execute(sqlite('pragma journal_mode'))).toEqual([{ journal_mode: 'wal' }]);
    expect(await store.execute(sqlite('pragma synchronous'))).toEqual([{ synchronous: 2 }]);
  });

  it('commits what waits at the same time together, and answers after that', async () => {
    const [store, elsewhere] = [await open(), await open()];
    await store.execute(start);
    let answered = false;
    const first = store.execute(write, [1]).then(() => {
      answered = true;
    });
    await store.transaction(async (tx) => {
      expect(await tx.query(read)).toEqual([{ id: 1 }]);
      expect(await elsewhere.read((reader) => reader.query(read))).toEqual([{ id: 0 }]);
      expect(answered).toBe(false);
    });
    await first;
    expect(await elsewhere.read((reader) => reader.query(read))).toEqual([{ id: 1 }]);
  });

  it('undoes one of those that commit together without the others', async () => {
    const store = await open();
    await store.execute(start);
    const increment = sqlite(`update outbox_cursor set id = id + 1 where consumer = 'n'`);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        store.transaction(async (tx) => {
          await tx.query(increment);
          if (i % 3 === 1) throw new Error(`refused ${i}`);
          if (i % 3 === 2) await tx.query(start);
        }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(
      Array.from({ length: 10 }, (_, i) => (i % 3 === 0 ? 'fulfilled' : 'rejected')),
    );
    expect(outcomes[1]).toMatchObject({ reason: { message: 'refused 1' } });
    expect(await store.execute(read)).toEqual([{ id: 4 }]);
  });

  it('tells all of those that commit together when SQLite has rolled back for them', async () => {
    const store = await open();
    await store.execute(start);
    const [{ page_count = 0 } = {}] = await store.execute<{ page_count: number }>(sqlite('pragma page_count'));
    await store.execute(sqlite(`pragma max_page_count = ${page_count + 2}`));
    const fill = sqlite(
      `insert into outbox_cursor (consumer, xid, id, updated_at) values (hex(randomblob(20000)), 0, 0, 0)`,
    );
    const outcomes = await Promise.allSettled([
      store.execute(sqlite('select 1')),
      store.execute(write, [5]),
      store.execute(fill),
      store.execute(write, [6]),
    ]);
    // The whole transaction is gone, and with it the write before the one that did not fit.
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(await store.execute(read)).toEqual([{ id: 0 }]);
    await store.execute(write, [7]);
    expect(await store.execute(read)).toEqual([{ id: 7 }]);
  });
});
