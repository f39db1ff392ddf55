import {
  createPostgresDatabase,
  eventually,
  hogConnections,
  startOwnPostgres,
  type OwnPostgres,
} from '@tyrum/test-services';
import { StoreUnavailableError, UnknownCommitError } from './errors';
import { PostgresStateStore } from './postgres-state-store';
import type { StateStore, Statement } from './state-store';

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });
const put = sql(`insert into outbox_cursor (consumer, xid, id, updated_at) values ($1, '0', 0, 0)`);
const touch = sql('update outbox_cursor set id = id + 1 where consumer = $1');
const list = sql('select consumer from outbox_cursor order by consumer');
const terminateAll = sql(`select pg_terminate_backend(pid) from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()`);

async function names(store: StateStore): Promise<string[]> {
  return (await store.execute<{ consumer: string }>(list)).map((row) => row.consumer);
}

/** Writes rows as fast as they are answered, and keeps book of what it was told about each. */
class Writers {
  readonly answered: string[] = [];
  readonly refused: string[] = [];
  readonly unknown: string[] = [];
  private stopped = false;
  private counter = 0;
  private readonly loops: Promise<void>[];

  constructor(
    private readonly store: StateStore,
    count = 5,
  ) {
    this.loops = Array.from({ length: count }, async () => {
      while (!this.stopped) await this.write();
    });
  }

  /** Resolves when so many more have been answered. */
  async progress(rows = 50): Promise<void> {
    const before = this.answered.length;
    await eventually(() => expect(this.answered.length).toBeGreaterThan(before + rows), { timeoutMs: 60_000 });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.loops);
  }

  private async write(): Promise<void> {
    const name = `row ${(this.counter += 1)}`;
    try {
      await this.store.transaction((tx) => tx.query(put, [name]));
      this.answered.push(name);
    } catch (error) {
      if (error instanceof UnknownCommitError) this.unknown.push(name);
      else if (error instanceof StoreUnavailableError) this.refused.push(name);
      else throw error;
    }
  }
}

describe('PostgresStateStore in trouble', () => {
  it.each<[string, (server: OwnPostgres) => Promise<void>]>([
    ['the server crashes', (server) => server.restartImmediate()],
    ['every session is terminated', (server) => outside(server.url, (admin) => admin.execute(terminateAll))],
  ])('loses nothing it has answered for, and heals by itself, when %s', async (_, disturb) => {
    const server = await startOwnPostgres();
    const store = await PostgresStateStore.open({ url: server.url, poolSize: 5 });
    try {
      const writers = new Writers(store);
      for (let i = 0; i < 3; i += 1) {
        await writers.progress();
        await disturb(server);
      }
      await writers.progress();
      await writers.stop();
      const { answered, refused, unknown } = writers;
      const kept = new Set(await names(store));
      expect(answered.filter((name) => !kept.has(name))).toEqual([]);
      expect(refused.filter((name) => kept.has(name))).toEqual([]);
      expect(refused.length + unknown.length).toBeGreaterThan(0);
    } finally {
      await store.close();
      await server.stop();
    }
  });

  it('sheds what it has no connection for, and goes on when there is room again', async () => {
    const server = await startOwnPostgres({ max_connections: '12', superuser_reserved_connections: '0' });
    const store = await PostgresStateStore.open({ url: server.url, poolSize: 5 });
    try {
      await store.transaction((tx) => tx.query(put, ['before']));
      const hog = await hogConnections(server.url);
      for (const attempt of [
        store.transaction((tx) => tx.query(put, ['shed'])),
        store.execute(put, ['shed']),
        store.ping(),
      ]) {
        const error = await attempt.then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(StoreUnavailableError);
        expect(error).toMatchObject({ cause: { code: '53300' }, retryAfterMs: expect.any(Number) as number });
      }
      await hog.release();
      await eventually(() => store.transaction((tx) => tx.query(put, ['after'])));
      expect(await names(store)).toEqual(['after', 'before']);
    } finally {
      await store.close();
      await server.stop();
    }
  });

  it('frees what a process holds that was stopped inside a transaction', async () => {
    const database = await createPostgresDatabase();
    const [stopped, other] = await Promise.all([open(database.url), open(database.url)]);
    try {
      await other.execute(put, ['row']);
      let wakeUp: () => void = () => undefined;
      const asleep = new Promise<void>((resolve) => (wakeUp = resolve));
      let held: () => void = () => undefined;
      const holds = new Promise<void>((resolve) => (held = resolve));
      // To the server a process that was stopped is a client that says nothing.
      const frozen = stopped.transaction(async (tx) => {
        await tx.query(touch, ['row']);
        held();
        await asleep;
      });
      await holds;
      const take = () => other.transaction((tx) => tx.query(touch, ['row']));
      // Its own patience for a lock is shorter than the server's for the silent one.
      await expect(take()).rejects.toThrow(StoreUnavailableError);
      await eventually(take, { timeoutMs: 60_000 });
      wakeUp();
      await expect(frozen).rejects.toThrow(StoreUnavailableError);
      expect(await other.execute(sql('select id from outbox_cursor'))).toEqual([{ id: 1 }]);
    } finally {
      await Promise.all([stopped.close(), other.close()]);
      await database.drop();
    }
  });
});

function open(url: string): Promise<PostgresStateStore> {
  return PostgresStateStore.open({ url, poolSize: 2 });
}

/** Does something in a session of its own. */
async function outside(url: string, work: (admin: StateStore) => Promise<unknown>): Promise<void> {
  const admin = await PostgresStateStore.open({ url, poolSize: 1 });
  await work(admin);
  await admin.close();
}
