import { openStateStore, type DatabaseAddress } from '../open-state-store';
import { SchemaTooNewError, UnknownCommitError } from '../errors';
import { rowsOf } from '../row-lists';
import { Tenants } from '../records';
import type { Reader, StateStore, Statement, Tx } from '../state-store';
import type { TestStores } from './index';

/** The same text on both dialects. */
function both(name: string, postgres: string): Statement {
  return { name, postgres, sqlite: postgres.replace(/\$(\d)/g, '?$1') };
}

// Cursors of the outbox serve as rows of nobody's: a key and a number.
const put = both('put', `insert into outbox_cursor (consumer, xid, id, updated_at) values ($1, '0', $2, 0)`);
const get = both('get', 'select consumer, id from outbox_cursor order by consumer');
const broken = both('broken', `insert into outbox_cursor (consumer) values (null)`);
/** What both dialects say of `broken`. */
const NOT_NULL = /not.null/i;
const needNewer = both('need-newer', 'update schema_revision set min_binary_revision = 999');

async function rows(source: Reader | StateStore): Promise<Record<string, number>> {
  type Row = { consumer: string; id: number };
  const list = 'query' in source ? await source.query<Row>(get) : await source.execute<Row>(get);
  return Object.fromEntries(list.map((row) => [row.consumer, row.id]));
}

/** What a StateStore owes, whatever database is under it. */
export function describeStateStore(stores: () => TestStores): void {
  let store: StateStore;

  beforeEach(async () => {
    store = await stores().open();
  });

  describe('a transaction', () => {
    it('commits all of it and returns what the work returned', async () => {
      const value = await store.transaction(async (tx) => {
        await tx.query(put, ['a', 1]);
        await tx.query(put, ['b', 2]);
        return rows(tx);
      });
      expect(value).toEqual({ a: 1, b: 2 });
      expect(await rows(store)).toEqual({ a: 1, b: 2 });
      expect(await rows(await stores().open())).toEqual({ a: 1, b: 2 });
    });

    it('keeps nothing when the work throws, ordinary records included', async () => {
      const tenant = { tenant_id: '00000000-0000-4000-8000-00000000000a', slug: 'a', created_at: 1, disabled_at: null };
      const work = async (tx: Tx): Promise<never> => {
        await tx.query(put, ['a', 1]);
        await tx.records(Tenants).insert(tenant);
        expect(await tx.records(Tenants).countBy({ slug: 'a' })).toBe(1);
        throw new Error('no');
      };
      await expect(store.transaction(work)).rejects.toThrow('no');
      expect(await rows(store)).toEqual({});
      expect(await store.read((reader) => reader.records(Tenants).countBy({ slug: 'a' }))).toBe(0);
    });

    it('keeps nothing, and leaves no connection inside it, when the work met with an unknown commit of another store', async () => {
      for (let round = 0; round < 3; round += 1) {
        const work = async (tx: Tx): Promise<never> => {
          await tx.query(put, [`lost ${round}`, 1]);
          throw new UnknownCommitError();
        };
        await expect(store.transaction(work)).rejects.toThrow(UnknownCommitError);
        await store.execute(put, [`kept ${round}`, 2]);
      }
      expect(await rows(await stores().open())).toEqual({ 'kept 0': 2, 'kept 1': 2, 'kept 2': 2 });
    });

    it('keeps nothing when a statement failed and its error was caught', async () => {
      const work = async (tx: Tx): Promise<string> => {
        await tx.query(put, ['a', 1]);
        await tx.query(broken).catch(() => {});
        return 'fine';
      };
      await expect(store.transaction(work)).rejects.toThrow(NOT_NULL);
      expect(await rows(store)).toEqual({});
    });

    it('leaves nothing behind when one of several statements at once fails', async () => {
      for (let round = 0; round < 20; round += 1) {
        const work = (tx: Tx): Promise<unknown> =>
          Promise.all([tx.query(broken), tx.query(put, ['a', round]), tx.query(put, ['b', round])]);
        await expect(store.transaction(work)).rejects.toThrow();
        await store.transaction((tx) => tx.query(put, [`after ${round}`, 0]));
      }
      expect(Object.keys(await rows(store)).filter((key) => !key.startsWith('after'))).toEqual([]);
    });

    it('runs statements whose answers nobody waits for, in their order', async () => {
      const seen = await store.transaction((tx) => {
        void tx.lockConversations([{ tenantId: 't', conversationKey: 'c' }]);
        void tx.query(put, ['a', 1]);
        void tx.query(put, ['b', 2]);
        const between = rows(tx);
        void tx.query(put, ['c', 3]);
        return between;
      });
      expect(seen).toEqual({ a: 1, b: 2 });
      expect(await rows(store)).toEqual({ a: 1, b: 2, c: 3 });
    });

    it('keeps nothing when a statement failed that nobody waited for', async () => {
      const last = (tx: Tx): Promise<string> => {
        void tx.query(put, ['a', 1]);
        void tx.query(broken);
        return Promise.resolve('fine');
      };
      await expect(store.transaction(last)).rejects.toThrow(NOT_NULL);
      const before = async (tx: Tx): Promise<void> => {
        void tx.query(broken);
        await tx.query(put, ['b', 1]);
      };
      await expect(store.transaction(before)).rejects.toThrow(NOT_NULL);
      expect(await rows(store)).toEqual({});
    });

    it('is dead once its work has ended', async () => {
      let late: Tx | undefined;
      await store.transaction((tx) => Promise.resolve((late = tx)));
      expect(() => late?.query(put, ['late', 1])).toThrow('after it ended');
      expect(await rows(store)).toEqual({});
    });

    it('is not around what it started and did not await', async () => {
      const committed = gate();
      let outlived: Promise<unknown> = Promise.resolve();
      await store.transaction(async (tx) => {
        await tx.query(put, ['inside', 1]);
        outlived = committed.opened.then(() => store.transaction((own) => own.query(put, ['outside', 1])));
      });
      committed.open();
      await outlived;
      expect(await rows(store)).toEqual({ inside: 1, outside: 1 });
    });

    it('is invisible to others until it commits', async () => {
      const other = await stores().open();
      const [wrote, seen] = [gate(), gate()];
      const writing = store.transaction(async (tx) => {
        await tx.query(put, ['a', 1]);
        wrote.open();
        await seen.opened;
      });
      await wrote.opened;
      expect(await store.read(rows)).toEqual({});
      expect(await other.read(rows)).toEqual({});
      seen.open();
      await writing;
      expect(await store.read(rows)).toEqual({ a: 1 });
      expect(await other.read(rows)).toEqual({ a: 1 });
    });
  });

  describe('a transaction in a transaction', () => {
    it('is undone alone when it fails', async () => {
      await store.transaction(async (tx) => {
        await tx.query(put, ['outer', 1]);
        const inner = store.transaction(async (savepoint) => {
          await savepoint.query(put, ['inner', 1]);
          throw new Error('inner');
        });
        await expect(inner).rejects.toThrow('inner');
        await tx.query(put, ['outer again', 1]);
      });
      expect(await rows(store)).toEqual({ outer: 1, 'outer again': 1 });
    });

    it('makes a failed statement harmless', async () => {
      await store.transaction(async (tx) => {
        await tx.query(put, ['before', 1]);
        await expect(store.transaction((savepoint) => savepoint.query(broken))).rejects.toThrow();
        await tx.query(put, ['after', 1]);
      });
      expect(await rows(store)).toEqual({ before: 1, after: 1 });
    });

    it('is undone for a statement in it that nobody waited for', async () => {
      await store.transaction(async (tx) => {
        void tx.query(put, ['outer', 1]);
        const inner = store.transaction((own) => {
          void own.query(put, ['inner', 1]);
          void own.query(broken);
          return Promise.resolve();
        });
        await expect(inner).rejects.toThrow();
      });
      expect(await rows(store)).toEqual({ outer: 1 });
    });

    it('is undone with the outer one', async () => {
      const outer = store.transaction(async () => {
        await store.transaction((inner) => inner.query(put, ['inner', 1]));
        throw new Error('outer');
      });
      await expect(outer).rejects.toThrow('outer');
      expect(await rows(store)).toEqual({});
    });

    it('may hold another, each undone alone', async () => {
      await store.transaction(async () => {
        await store.transaction(async (first) => {
          await first.query(put, ['1', 1]);
          const second = store.transaction(async (tx) => {
            await tx.query(put, ['2', 1]);
            await store.transaction((third) => third.query(put, ['3', 1]));
            throw new Error('second');
          });
          await expect(second).rejects.toThrow('second');
        });
      });
      expect(await rows(store)).toEqual({ 1: 1 });
    });

    it('sees the outer one, and so do reads', async () => {
      await store.transaction(async (tx) => {
        await tx.query(put, ['a', 1]);
        expect(await store.transaction(rows)).toEqual({ a: 1 });
        expect(await store.read(rows)).toEqual({ a: 1 });
        expect(await rows(store)).toEqual({ a: 1 });
      });
    });
  });

  describe('lockConversations', () => {
    const ref = (conversationKey: string) => ({ tenantId: '00000000-0000-4000-8000-000000000001', conversationKey });

    it('lets one transaction at a time write to a conversation, in whatever order they are named', async () => {
      const other = await stores().open();
      const inside = new Set<string>();
      let clashes = 0;
      const runs = Array.from({ length: 40 }, (_, i) => {
        const keys = ['A', 'B', 'C', 'D'].filter(() => Math.random() < 0.6).sort(() => Math.random() - 0.5);
        return (i % 2 ? store : other).transaction(async (tx) => {
          await tx.lockConversations(keys.map(ref));
          for (const key of keys) clashes += inside.has(key) ? 1 : 0;
          for (const key of keys) inside.add(key);
          await tx.query(put, [`run ${i}`, i]);
          for (const key of keys) inside.delete(key);
        });
      });
      await Promise.all(runs);
      expect(clashes).toBe(0);
      expect(Object.keys(await rows(store))).toHaveLength(40);
    });

    it('takes none, and the same one twice', async () => {
      await store.transaction(async (tx) => {
        await tx.lockConversations([]);
        await tx.lockConversations([ref('A'), ref('A')]);
        await tx.lockConversations([ref('A')]);
      });
    });
  });

  describe('rows', () => {
    it('come back the same on both dialects', async () => {
      const found = await store.execute({
        name: 'shapes',
        postgres: `select 9007199254740991::bigint as big, count(*) as counted, '{"b": 1, "a": 2}'::text as json,
          null::bigint as absent from tenant`,
        sqlite: `select 9007199254740991 as big, count(*) as counted, '{"b": 1, "a": 2}' as json, null as absent from tenant`,
      });
      expect(found).toEqual([{ big: Number.MAX_SAFE_INTEGER, counted: 1, json: '{"b": 1, "a": 2}', absent: null }]);
    });

    it('hold any text', async () => {
      const text = `'; drop table outbox; -- "ü" \\ \n 🦉 $1 ?1`;
      await store.execute(put, [text, 1]);
      expect(await rows(store)).toEqual({ [text]: 1 });
    });

    it('go in as a list and come out in its order, whatever is in them', async () => {
      const columns = { place: 'int', id: 'uuid', note: 'text', big: 'bigint', detail: 'text' } as const;
      const list: Statement = {
        name: 'list',
        columns: Object.keys(columns),
        postgres: `select $1 || place as place, id, note, big, detail from ${rowsOf(columns, 2)} as given`,
        sqlite: `select ?1 || (value ->> 'place') as place, value ->> 'id' as id, value ->> 'note' as note,
          value ->> 'big' as big, value ->> 'detail' as detail from jsonb_each(?2)`,
      };
      const id = '00000000-0000-4000-8000-00000000000b';
      const notes = ['', 'null', 'NULL', `{"a","b"}`, `'; -- "ü" \\ \n 🦉 $1`, null, undefined, 'x'.repeat(100_000)];
      const given = notes.map((note, place) => ({
        place,
        id,
        note,
        big: Number.MAX_SAFE_INTEGER,
        detail: { a: [note] },
      }));
      expect(await store.execute(list, ['at ', given])).toEqual(
        given.map(({ place, note, big, detail }) => ({
          place: `at ${place}`,
          id,
          note: note ?? null,
          big,
          detail: JSON.stringify(detail),
        })),
      );
      expect(await store.execute(list, ['at ', []])).toEqual([]);
    });

    it('come from the last statement of a list, and from each kind of statement', async () => {
      const upsert = both(
        'upsert',
        `insert into outbox_cursor as c (consumer, xid, id, updated_at) values ($1, '0', $2, 0)
          on conflict (consumer) do update set id = excluded.id returning consumer, id`,
      );
      expect(await store.execute(upsert, ['a', 1])).toEqual([{ consumer: 'a', id: 1 }]);
      expect(await store.execute(upsert, ['a', 2])).toEqual([{ consumer: 'a', id: 2 }]);
      const update = both('update', 'update outbox_cursor set id = $1 returning id');
      expect(await store.execute(update, [3])).toEqual([{ id: 3 }]);
      const remove = both('remove', 'delete from outbox_cursor where id = $1 returning id');
      expect(await store.execute(remove, [4])).toEqual([]);
      const list: Statement = {
        ...remove,
        sqlite: ['select 1 as one where ?1 = 3', 'delete from outbox_cursor where id = ?1 returning id'],
      };
      expect(await store.execute(list, [3])).toEqual([{ id: 3 }]);
    });
  });

  describe('opening', () => {
    it('migrates an empty database once when five processes open it together', async () => {
      const address = await emptied(stores().address);
      const opened = await Promise.all(Array.from({ length: 5 }, () => openStateStore(address, { poolSize: 1 })));
      const tenants = await Promise.all(opened.map((each) => each.read((reader) => reader.records(Tenants).count())));
      const applied = await opened[0]?.execute(both('applied', 'select name from migrations'));
      await Promise.all(opened.map((each) => each.close()));
      expect(tenants).toEqual([1, 1, 1, 1, 1]);
      expect(new Set(applied?.map((row) => row['name'])).size).toBe(applied?.length);
    });

    it('keeps what is there', async () => {
      await store.execute(put, ['a', 1]);
      expect(await rows(await stores().open())).toEqual({ a: 1 });
    });

    it('refuses a schema that needs a newer binary, and leaves it alone', async () => {
      await store.execute(needNewer);
      await expect(openStateStore(stores().address)).rejects.toThrow(SchemaTooNewError);
      expect(await store.execute(both('revision', 'select min_binary_revision from schema_revision'))).toEqual([
        { min_binary_revision: 999 },
      ]);
    });
  });

  it('answers a ping until it is closed, which may be said twice', async () => {
    await store.ping();
    await store.close();
    await store.close();
    await expect(store.ping()).rejects.toThrow();
    await expect(store.transaction(() => Promise.resolve())).rejects.toThrow();
  });

  /** The address of a database without a schema. */
  async function emptied(address: DatabaseAddress): Promise<DatabaseAddress> {
    if (address.kind === 'sqlite') return { ...address, path: `${address.path}-empty` };
    await store.execute({ name: 'drop-all', postgres: 'drop schema public cascade', sqlite: '' });
    await store.execute({ name: 'begin-again', postgres: 'create schema public', sqlite: '' });
    return address;
  }
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
