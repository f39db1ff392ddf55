import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSqlitePath } from '@tyrum/test-services';
import { StoreUnavailableError } from './errors';
import { SqliteStateStore } from './sqlite-state-store';
import type { Statement } from './state-store';

const run = promisify(execFile);
const MIB = 1024 * 1024;

const sqlite = (text: string): Statement => ({ name: 'test', postgres: '', sqlite: text });
const start = sqlite(`insert into outbox_cursor (consumer, xid, id, updated_at) values ('n', 0, 0, 0)`);
const read = sqlite(`select id from outbox_cursor where consumer = 'n'`);
const write = sqlite(`update outbox_cursor set id = ?1 where consumer = 'n'`);
/** A row of 100 kB. */
const fill = sqlite(
  `insert into outbox_cursor (consumer, xid, id, updated_at) values (hex(randomblob(50000)), 0, 0, 0)`,
);
const count = sqlite(`select count(*) as n from outbox_cursor`);

describe('SQLite in trouble', () => {
  const opened: SqliteStateStore[] = [];
  let file: ReturnType<typeof createSqlitePath>;

  beforeEach(() => {
    file = createSqlitePath();
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
    file.remove();
  });

  async function open(): Promise<SqliteStateStore> {
    const store = await SqliteStateStore.open({ path: file.path });
    opened.push(store);
    return store;
  }

  const integrity = async (store: SqliteStateStore) =>
    (await store.read((db) => db.query<{ integrity_check: string }>(sqlite('pragma integrity_check'))))[0]
      ?.integrity_check;

  it('lets three processes write to one file: none is told that it is busy, and nothing is lost', async () => {
    const store = await open();
    const [perProcess, names] = [300, ['one', 'two', 'three']];
    const script = join(__dirname, 'testing', 'sqlite-contender.ts');
    const contend = async (name: string) => {
      const args = ['-r', '@swc-node/register', script, file.path, name, String(perProcess)];
      return JSON.parse((await run(process.execPath, args)).stdout) as { done: number; failed: string[] };
    };
    const outcomes = await Promise.all(names.map(contend));
    expect(outcomes).toEqual(names.map(() => ({ done: perProcess, failed: [] })));
    const rows = await store.execute<{ consumer: string; id: number }>(
      sqlite('select consumer, id from outbox_cursor'),
    );
    expect(Object.fromEntries(rows.map(({ consumer, id }) => [consumer, id]))).toEqual({
      shared: perProcess * names.length,
      ...Object.fromEntries(names.map((name) => [name, perProcess])),
    });
    expect(await integrity(store)).toBe('ok');
  }, 120_000);

  it('goes on writing beside a reader that does not end, and takes the room back when it does', async () => {
    const [store, other] = [await open(), await open()];
    const walBytes = () => statSync(`${file.path}-wal`).size;
    const writeSome = async (rows: number) => {
      for (let i = 0; i < rows; i += 1) await store.execute(fill);
    };
    await store.execute(start);
    await other.read(async (db) => {
      await db.query(sqlite('begin'));
      expect(await db.query(count)).toEqual([{ n: 1 }]);
      await writeSome(300);
      expect(await db.query(count)).toEqual([{ n: 1 }]);
      await db.query(sqlite('commit'));
    });
    const grown = walBytes();
    expect(grown).toBeGreaterThan(28 * MIB);
    expect(await other.read((db) => db.query(count))).toEqual([{ n: 301 }]);
    // The next checkpoint comes to the end of the log, and the write after it begins the log anew.
    await writeSome(60);
    expect(walBytes()).toBeLessThanOrEqual(16 * MIB);
    expect(await store.read((db) => db.query(count))).toEqual([{ n: 361 }]);
    expect(await integrity(store)).toBe('ok');
  }, 120_000);

  describe('with a full disk', () => {
    let store: SqliteStateStore;
    const setRoom = async (pages: number) => {
      const [{ page_count = 0 } = {}] = await store.execute<{ page_count: number }>(sqlite('pragma page_count'));
      await store.execute(sqlite(`pragma max_page_count = ${page_count + pages}`));
    };

    beforeEach(async () => {
      store = await open();
      await store.execute(start);
      await setRoom(2);
    });

    it('says that it is unavailable for now, to all whose commit it was, and that nothing was written', async () => {
      const outcomes = await Promise.allSettled([
        store.execute(write, [4]),
        store.execute(write, [5]),
        store.execute(fill),
        store.execute(write, [6]),
      ]);
      // The first began before the others came and has a commit of its own.
      const [alone, ...together] = outcomes;
      for (const outcome of together) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
      }
      const written = alone?.status === 'fulfilled' ? 4 : 0;
      expect(await store.read((db) => db.query(read))).toEqual([{ id: written }]);
    });

    it('runs nothing of a transaction in the open after SQLite has rolled it back', async () => {
      const transaction = store.transaction(async (tx) => {
        await tx.query(write, [5]);
        void tx.query(fill);
        void tx.query(write, [6]);
      });
      await expect(transaction).rejects.toBeInstanceOf(StoreUnavailableError);
      expect(await store.read((db) => db.query(read))).toEqual([{ id: 0 }]);
    });
  });
});
