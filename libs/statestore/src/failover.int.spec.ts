import {
  eventually,
  startMovableAddress,
  startOwnPgBouncer,
  startOwnPostgres,
  startOwnStandby,
  type MovableAddress,
  type OwnPostgres,
  type OwnStandby,
} from '@tyrum/test-services';
import { StaleServerError } from './errors';
import { PostgresStateStore } from './postgres-state-store';
import type { Statement } from './state-store';

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });
const put = sql(`insert into outbox_cursor (consumer, xid, id, updated_at) values ($1, '0', 0, 0)`);
const names = sql('select consumer from outbox_cursor order by consumer');
const place = sql('select inet_server_port() as port from pg_sleep(0.1)');
const epochOf = sql('select epoch from outbox_epoch');

describe('PostgresStateStore and a failover', () => {
  let primary: OwnPostgres;
  let standby: OwnStandby;
  let address: MovableAddress;
  const cleanups: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    primary = await startOwnPostgres();
    cleanups.push(() => primary.stop());
    // Its schema has to be there before the copy is made: some tests give nothing more to the standby.
    await (await PostgresStateStore.open({ url: primary.url })).close();
    standby = await startOwnStandby(primary);
    cleanups.push(() => standby.stop());
    address = await startMovableAddress(primary.port);
    cleanups.push(() => address.close());
  });

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function open(url: string): Promise<PostgresStateStore> {
    const store = await PostgresStateStore.open({ url, poolSize: 4 });
    cleanups.push(() => store.close());
    return store;
  }

  const refusalOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'none',
      (error: unknown) => (error instanceof StaleServerError ? error.refusal : error),
    );

  it('refuses a standby, takes it once it is promoted, and refuses the old primary that comes back', async () => {
    expect(await refusalOf(PostgresStateStore.open({ url: standby.url }))).toBe('standby');
    const store = await open(address.through(primary.url));
    await store.transaction((tx) => tx.query(put, ['before']));
    const [before] = await store.execute(epochOf);
    await standby.caughtUp();

    address.pointTo(standby.port);
    address.cut();
    expect(
      await refusalOf(eventually(() => store.transaction((tx) => tx.query(put, ['never'])), { timeoutMs: 1_000 })),
    ).toBe('standby');
    await standby.promote();
    await eventually(() => store.transaction((tx) => tx.query(put, ['after'])));
    // Positions of before could pass over rows that get the ids of lost ones.
    expect(await store.execute(epochOf)).not.toEqual([before]);

    address.pointTo(primary.port);
    address.cut();
    await eventually(async () => expect(await refusalOf(store.ping())).toBe('older_timeline'));
    expect(await refusalOf(store.transaction((tx) => tx.query(put, ['lost'])))).toBe('older_timeline');
    expect(await refusalOf(store.execute(put, ['lost']))).toBe('older_timeline');
    await expect(store.ping()).rejects.toThrow('the server is on timeline 1, and 2 has been seen');

    address.pointTo(standby.port);
    address.cut();
    await eventually(() => store.ping());
    expect(await store.execute(names)).toEqual([{ consumer: 'after' }, { consumer: 'before' }]);
  });

  it('gives up the connections to the old primary when one connection shows that there is a newer', async () => {
    const store = await open(address.through(primary.url));
    const ports = async (count: number) => {
      const found = await Promise.all(Array.from({ length: count }, () => store.execute<{ port: number }>(place)));
      return new Set(found.map(([row]) => row?.port));
    };
    expect(await ports(3)).toEqual(new Set([primary.port]));
    await standby.promote();
    address.pointTo(standby.port);
    // Three connections are in the pool; the fourth is the first to be made since.
    await ports(4);
    expect(await ports(4)).toEqual(new Set([standby.port]));
  });

  it('refuses an old primary behind a pooler, whose clients see no connection end', async () => {
    const pooler = await startOwnPgBouncer(address.through(primary.url));
    cleanups.push(() => pooler.stop());
    address.pointTo(standby.port);
    await standby.promote();
    const store = await open(pooler.url);
    await store.transaction((tx) => tx.query(put, ['kept']));
    address.pointTo(primary.port);
    address.cut();
    await eventually(async () =>
      expect(await refusalOf(store.transaction((tx) => tx.query(put, ['lost'])))).toBe('older_timeline'),
    );
    address.pointTo(standby.port);
    address.cut();
    await eventually(() => store.transaction((tx) => tx.query(put, ['also kept'])));
    expect(await store.execute(names)).toEqual([{ consumer: 'also kept' }, { consumer: 'kept' }]);
  });
});
