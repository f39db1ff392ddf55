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
});
