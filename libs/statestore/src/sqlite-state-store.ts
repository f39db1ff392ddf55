import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Database } from 'sqlite3';
import { DataSource } from 'typeorm';
import { classifyError, StoreUnavailableError } from './errors';
import { migrateSqlite } from './migrate';
import { migrationsFor } from './migrations';
import { PreparedSqlite, QUIET_DRIVER } from './prepared-sqlite';
import { RECORDS } from './records';
import type { Param, Reader, StateStore, Statement, Tx } from './state-store';
import { SqliteWriter } from './sqlite-writer';
import { TypeOrmReader, TypeOrmTx, type Send } from './typeorm-reader';

export interface SqliteStateStoreOptions {
  readonly path: string;
  /** How long to wait for another process's write transaction, in milliseconds, before `StoreUnavailableError`. */
  readonly busyTimeoutMs?: number;
}

const KEPT_LOG_BYTES = 16 * 1024 * 1024;
const DEFAULT_BUSY_TIMEOUT_MS = 30_000;
/** One wait inside SQLite. It holds a libuv thread, so it is short and the rest of the patience is spent outside. */
const SQLITE_BUSY_SLICE_MS = 200;
const RETRY_AFTER_MS = 500;
/** Room on a disk is made by people. */
const DISK_RETRY_AFTER_MS = 5_000;
const ROOM_BYTES = 4 * 1024 * 1024;
/** Writes a page and changes nothing. */
const TRY_TO_WRITE: Statement = { name: 'try-to-write', postgres: '', sqlite: 'update outbox_epoch set epoch = epoch' };

/** A connection and its prepared statements. */
interface Connection {
  readonly source: DataSource;
  readonly prepared: PreparedSqlite;
}

/**
 * The single host's StateStore. SQLite has one writer, so this process has one writing connection and takes turns on it;
 * reads use a second connection, which in WAL mode never waits. Several processes may share the file.
 */
export class SqliteStateStore implements StateStore {
  readonly dialect = 'sqlite';
  private readonly current = new AsyncLocalStorage<TypeOrmTx>();
  private readonly writer: SqliteWriter;
  /** A write failed for want of room, and none has been seen to succeed since. */
  private diskTrouble = false;

  private constructor(
    private readonly writing: Connection,
    private readonly reading: Connection,
    busyTimeoutMs: number,
  ) {
    this.writer = new SqliteWriter({
      // IMMEDIATE takes the write lock up front: a deferred transaction that reads first can fail with SQLITE_BUSY at its
      // first write, where no waiting helps because its snapshot is already old.
      begin: () => patiently(() => writing.prepared.all('begin immediate', []), busyTimeoutMs),
      command: (text) => writing.prepared.all(text, []),
      // BEGIN IMMEDIATE already made this transaction the only writer.
      newTx: () =>
        new TypeOrmTx('sqlite', writing.source.createQueryRunner(), () => Promise.resolve(), sendOn(writing)),
    });
  }

  /** Creates the file and its folder where there is none, and migrates it. @throws {SchemaTooNewError} */
  static async open(options: SqliteStateStoreOptions): Promise<SqliteStateStore> {
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
    const busyTimeoutMs = options.busyTimeoutMs ?? DEFAULT_BUSY_TIMEOUT_MS;
    const writer = await connect(options.path, busyTimeoutMs);
    try {
      await migrateSqlite(writer, (begin) => patiently(begin, busyTimeoutMs));
      const reader = await connect(options.path, busyTimeoutMs);
      await reader.query('pragma query_only = on');
      return new SqliteStateStore(withPrepared(writer), withPrepared(reader), busyTimeoutMs);
    } catch (error) {
      await writer.destroy();
      throw error;
    }
  }

  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    // What outlived the transaction it was started in (a timer, a loop) is not inside it any more.
    if (outer && !outer.finished) return outer.savepoint(work);
    return this.writer
      .transaction((tx) => this.current.run(tx, () => work(tx)))
      .catch((error: unknown) => this.rethrow(error));
  }

  read<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    if (outer && !outer.finished) return work(outer);
    return work(new TypeOrmReader('sqlite', this.reading.source.createQueryRunner(), sendOn(this.reading)));
  }

  execute<Row = Record<string, unknown>>(statement: Statement, params?: readonly Param[]): Promise<Row[]> {
    return this.transaction((tx) => tx.query<Row>(statement, params));
  }

  /** There is no wire to be cut between us and SQLite. */
  wasCommitted(): Promise<boolean> {
    return Promise.reject(new Error('SQLite leaves no commit unknown'));
  }

  /** After a write that found no room, answers only when there is some: a small write may fit where the next turn does not. */
  async ping(): Promise<void> {
    await this.reading.prepared.all('select 1', []);
    if (!this.diskTrouble) return;
    await this.execute(TRY_TO_WRITE);
    await tryRoom(`${this.writing.source.options.database as string}-room`);
    this.diskTrouble = false;
  }

  private rethrow(error: unknown): never {
    if (classifyError(error) !== 'disk') throw error;
    this.diskTrouble = true;
    const message = `SQLite cannot write to its disk: ${(error as Error).message}`;
    throw new StoreUnavailableError(message, DISK_RETRY_AFTER_MS, { cause: error });
  }

  async close(): Promise<void> {
    await this.writer.idle();
    for (const { source, prepared } of [this.reading, this.writing]) {
      await prepared.finalize();
      if (source.isInitialized) await source.destroy();
    }
  }
}

function withPrepared(source: DataSource): Connection {
  const { databaseConnection } = source.driver as unknown as { databaseConnection: Database };
  return { source, prepared: new PreparedSqlite(databaseConnection) };
}

function sendOn({ prepared }: Connection): Send {
  return (text, params) => prepared.all(text, params);
}

async function connect(path: string, busyTimeoutMs: number): Promise<DataSource> {
  const source = new DataSource({
    type: 'sqlite',
    driver: QUIET_DRIVER,
    database: path,
    logging: false,
    entities: RECORDS,
    migrations: migrationsFor('sqlite'),
  });
  await source.initialize();
  await source.query(`pragma busy_timeout = ${SQLITE_BUSY_SLICE_MS}`);
  // Two processes that create the file together both switch it to WAL; one of them has to wait.
  await patiently(() => source.query('pragma journal_mode = wal'), busyTimeoutMs);
  // FULL: a commit that was answered survives the power going off, not only the process.
  await source.query('pragma synchronous = full');
  await source.query('pragma foreign_keys = on');
  // A reader that does not end lets the log grow; when it has ended, the file shrinks to this.
  await source.query(`pragma journal_size_limit = ${KEPT_LOG_BYTES}`);
  return source;
}

/** Writes as much as a few turns need, and takes it back. @throws {StoreUnavailableError} it found no room */
async function tryRoom(path: string): Promise<void> {
  try {
    await writeFile(path, Buffer.alloc(ROOM_BYTES), { flush: true });
  } catch (cause) {
    const message = `SQLite cannot write to its disk: there is no room for ${ROOM_BYTES} bytes`;
    throw new StoreUnavailableError(message, DISK_RETRY_AFTER_MS, { cause });
  } finally {
    await rm(path, { force: true });
  }
}

/** Runs `action` again while another process holds the write lock, with jitter so that processes do not move in step. */
async function patiently<T>(action: () => Promise<T>, budgetMs: number): Promise<T> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (classifyError(error) !== 'overloaded') throw error;
      if (performance.now() >= deadline) {
        throw new StoreUnavailableError('the SQLite file is locked by another process', RETRY_AFTER_MS, {
          cause: error,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20));
    }
  }
}
