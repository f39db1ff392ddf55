import { AsyncLocalStorage } from 'node:async_hooks';
import { DataSource, type QueryRunner } from 'typeorm';
import { types } from 'pg';
import { clientWithDeadline, type Deadline } from './client-with-deadline';
import {
  classifyError,
  isOlderTimeline,
  isReadOnlyServer,
  StaleServerError,
  StoreUnavailableError,
  UnknownCommitError,
} from './errors';
import { migratePostgres } from './migrate';
import { migrationsFor } from './migrations';
import { commit, RETRY_AFTER_MS, rollbackQuietly, type Connection } from './postgres-commit';
import { RECORDS } from './records';
import { ServerTimeline, type TimelineClient } from './server-timeline';
import type { ConversationRef, Param, Reader, StateStore, Statement, Tx } from './state-store';
import { TypeOrmReader, TypeOrmTx, type Send } from './typeorm-reader';

export interface PostgresStateStoreOptions {
  readonly url: string;
  /** Connections at the most. */
  readonly poolSize?: number;
  readonly applicationName?: string;
  /** How long a transaction is run again after deadlocks and serialization failures, in attempts. */
  readonly maxAttempts?: number;
  /** How long an answer of the server is waited for, in ms. It must be longer than any wait for a lock may be. */
  readonly answerTimeoutMs?: number;
  /** Told about errors on idle connections; they are replaced and nothing else follows. */
  readonly onPoolError?: (error: Error) => void;
}

const DEFAULT_POOL_SIZE = 10;
const DEFAULT_MAX_ATTEMPTS = 5;
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the pauses of the loops that run in an idle process, so that none of them has to connect anew each time. */
const IDLE_TIMEOUT_MS = 60_000;
/** Above `lock_timeout`: a statement that waits for its turn is told so by the server. */
const DEFAULT_ANSWER_TIMEOUT_MS = 30_000;
/** Room on a disk is made by people. */
const DISK_RETRY_AFTER_MS = 5_000;
const DEAD_CONNECTION_PAUSE_MS = 20;

/**
 * A client stopped inside a transaction would keep its locks for ever, and so block every takeover. And where the planner
 * takes a claim for expensive, it has it compiled anew each time: 200 ms for a statement that runs for 2. Our joins look a
 * few rows up by a key, and no other way of joining is left to the planner: what it plans for an empty table it keeps when the table
 * has grown, until autovacuum has looked, and reading all of a small table to hash it is cheaper then.
 */
const SESSION_SETTINGS = [
  'idle_in_transaction_session_timeout=15000',
  'lock_timeout=10000',
  'jit=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
];
const BEGIN_POOLED = ['begin', ...SESSION_SETTINGS.map((setting) => `set local ${setting}`), ''].join('; ');
/** Statements a connection keeps parsed and planned at the most; ours are some eighty. */
const MAX_PREPARED = 500;

/** Null: no transaction has had this id yet, in what the server knows of. */
const transactionStatus: Statement = {
  name: 'transaction-status',
  postgres: `select case when $1::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status($1::xid8) end as status`,
  sqlite: '',
};
/** Touches: outbox. */
const findAppended: Statement = {
  name: 'find-appended',
  postgres: 'select id from outbox where xid = $1::xid8 and strpos(events, $2) > 0',
  sqlite: '',
};

/** int8 and numeric counters fit a double: ids grow by one and tokens stay below 2^53. */
const INT8_OID = 20;
const typeParsers = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8_OID ? Number : types.getTypeParser(oid, format as 'text')) as typeof types.getTypeParser,
};

/** The cluster's StateStore: TypeORM owns the pool and the migrations, every statement runs in READ COMMITTED. */
export class PostgresStateStore implements StateStore {
  readonly dialect = 'postgres';
  private readonly current = new AsyncLocalStorage<TypeOrmTx>();

  private constructor(
    private readonly source: DataSource,
    private readonly maxAttempts: number,
    /** Transactions of one session may run on several connections of the server: nothing may be left behind on one. */
    private readonly pooled: boolean,
    private readonly timeline: ServerTimeline,
  ) {}

  /**
   * Connects and migrates.
   * @throws {StoreUnavailableError} nobody answers @throws {StaleServerError} a standby does @throws {SchemaTooNewError}
   */
  static async open(options: PostgresStateStoreOptions): Promise<PostgresStateStore> {
    // Migrations take the time they take.
    const deadline: Deadline = { ms: undefined };
    const pooled = isPooled(options.url);
    const timeline = new ServerTimeline();
    const source = new DataSource({
      type: 'postgres',
      url: options.url,
      poolSize: options.poolSize ?? DEFAULT_POOL_SIZE,
      applicationName: options.applicationName ?? 'tyrum',
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      poolErrorHandler: (error: Error) => options.onPoolError?.(error),
      logging: false,
      entities: RECORDS,
      migrations: migrationsFor('postgres'),
      extra: {
        types: typeParsers,
        Client: clientWithDeadline(deadline),
        // What a transaction sends without waiting for the answer before it shares a round trip with it.
        pipeline: true,
        keepAlive: true,
        idleTimeoutMillis: IDLE_TIMEOUT_MS,
        onConnect: (client: TimelineClient) => timeline.admit(client),
        // Set when the session starts: a stopped process cannot set it later. A pooler takes no such options.
        ...(pooled ? {} : { options: SESSION_SETTINGS.map((setting) => `-c ${setting}`).join(' ') }),
      },
    });
    try {
      await source.initialize();
      await migratePostgres(source);
      await beginTimeline(source, timeline);
      deadline.ms = options.answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS;
    } catch (error) {
      if (source.isInitialized) await source.destroy();
      throw toOperatingError(error);
    }
    return new PostgresStateStore(source, options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS, pooled, timeline);
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    // What outlived the transaction it was started in (a timer, a loop) is not inside it any more.
    if (outer && !outer.finished) return outer.savepoint(work);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.attempt(work);
      } catch (error) {
        const stale = error instanceof NeverBegunError;
        if ((!stale && classifyError(error) !== 'retry') || attempt >= this.maxAttempts) {
          throw toOperatingError(stale ? error.cause : error);
        }
        if (stale) await pause(attempt);
      }
    }
  }

  async read<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    if (outer && !outer.finished) return work(outer);
    // Reading twice is reading once: a connection that died in the pool costs another try, not an error.
    return this.patiently(() => this.onConnection((runner, send) => work(new TypeOrmReader('postgres', runner, send))));
  }

  async execute<Row = Record<string, unknown>>(statement: Statement, params?: readonly Param[]): Promise<Row[]> {
    const outer = this.current.getStore();
    if (outer && !outer.finished) return outer.query<Row>(statement, params);
    try {
      return await this.onConnection((runner, send) =>
        new TypeOrmReader('postgres', runner, send).query<Row>(statement, params),
      );
    } catch (error) {
      throw toOperatingError(error);
    }
  }

  async wasCommitted(transactionId: string, eventId?: string): Promise<boolean> {
    for (;;) {
      const [row] = await this.execute<{ status: string | null }>(transactionStatus, [transactionId]);
      if (row?.status === 'in progress') await new Promise((resolve) => setTimeout(resolve, 50));
      // In a statement of its own: the one above may have begun before the commit that it saw.
      else if (eventId !== undefined) return (await this.execute(findAppended, [transactionId, eventId])).length > 0;
      else return row?.status === 'committed';
    }
  }

  async ping(): Promise<void> {
    await this.read((reader) => reader.query({ name: 'ping', postgres: 'select 1', sqlite: 'select 1' }));
  }

  async close(): Promise<void> {
    if (this.source.isInitialized) await this.source.destroy();
  }

  /**
   * One try. BEGIN travels with the first statements and COMMIT with the last: the server answers in order, and once a
   * statement has failed it refuses those behind it and rolls back at COMMIT.
   */
  private async attempt<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const { runner, connection } = await this.patiently(() => this.connect());
    const refused = connection.query(this.begin).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    const send = this.sendOn(connection);
    // Behind a pooler the next thing sent may come to another server, before the COMMIT or without it.
    const tx = new TypeOrmTx('postgres', runner, (keys) => lockConversations(send, keys), send, !this.pooled);
    let worked = false;
    try {
      const value = await this.current.run(tx, () => work(tx));
      worked = true;
      await commit(runner, connection, tx, send);
      return value;
    } catch (error) {
      await tx.finish();
      // COMMIT is away: only the database knows. One that the work met with is of another transaction; ours is still open.
      if (worked && error instanceof UnknownCommitError) throw error;
      const cause = await refused;
      await rollbackQuietly(connection);
      if (classifyError(cause) === 'connection') throw new NeverBegunError(cause);
      throw tx.causeOf(error);
    } finally {
      await runner.release();
    }
  }

  /** A pooler may have another server behind it each time, so each transaction asks which one. */
  private get begin(): string {
    return this.pooled ? `${BEGIN_POOLED}select refuse_timeline_below(${this.timeline.highest})` : 'begin';
  }

  /** Past TypeORM's runner, which waits before it sends: statements must leave in the order of their calls. */
  private sendOn(connection: Connection): Send {
    return async (text, params, name) => {
      const prepared = this.pooled || name === undefined ? undefined : preparedName(name, text);
      const values = [...params];
      try {
        const { rows } = await connection.query(prepared ? { name: prepared, text, values } : { text, values });
        return rows;
      } catch (error) {
        // The next connection may reach a server that can be written to; this one never will.
        if (isReadOnlyServer(error)) giveUp(connection);
        throw error;
      }
    };
  }

  /** A connection to the newest server that was seen: those made before it was promoted are given up. */
  private async connect(): Promise<{ runner: QueryRunner; connection: Connection }> {
    for (;;) {
      const runner = this.source.createQueryRunner();
      try {
        const connection = (await runner.connect()) as Connection;
        if (!this.timeline.isBehind(connection)) return { runner, connection };
        giveUp(connection);
      } catch (error) {
        await runner.release();
        throw error;
      }
      await runner.release();
    }
  }

  private async onConnection<T>(work: (runner: QueryRunner, send: Send) => Promise<T>): Promise<T> {
    const { runner, connection } = await this.connect();
    try {
      return await work(runner, this.sendOn(connection));
    } finally {
      await runner.release();
    }
  }

  /** Tries again what has had no effect yet: a pool learns of a dead connection only by using it. */
  private async patiently<T>(action: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await action();
      } catch (error) {
        if (classifyError(error) !== 'connection' || attempt >= this.maxAttempts) throw toOperatingError(error);
        await pause(attempt);
      }
    }
  }
}

/** The pool gave a connection that was dead: nothing of the transaction has taken place, so it may be tried on another. */
class NeverBegunError extends Error {
  constructor(cause: unknown) {
    super('BEGIN was never answered', { cause });
    this.name = 'NeverBegunError';
  }
}

async function beginTimeline(source: DataSource, timeline: ServerTimeline): Promise<void> {
  const runner = source.createQueryRunner();
  try {
    await timeline.begin((await runner.connect()) as TimelineClient);
  } finally {
    await runner.release();
  }
}

/** The pool drops a connection that is ending when it comes back. */
function giveUp(connection: Connection): void {
  connection.end().catch(() => undefined);
}

/** `pgbouncer=true` in the address: between us and Postgres is a pooler that hands out its connections by transaction. */
function isPooled(url: string): boolean {
  return new URL(url).searchParams.get('pgbouncer') === 'true';
}

const preparedNames = new Map<string, string>();

/** Parsing and planning are a third of a small batch's cost, so each statement is prepared once a connection. */
function preparedName(name: string, text: string): string | undefined {
  const known = preparedNames.get(text);
  if (known !== undefined || preparedNames.size >= MAX_PREPARED) return known;
  const prepared = `${name}-${preparedNames.size}`;
  preparedNames.set(text, prepared);
  return prepared;
}

function pause(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, attempt * DEAD_CONNECTION_PAUSE_MS));
}

/**
 * Transaction-scoped advisory locks, in one order for everybody so that two batches cannot deadlock. They come before
 * the first write because they, unlike row locks, do not make Postgres assign a transaction id.
 */
async function lockConversations(send: Send, keys: readonly ConversationRef[]): Promise<void> {
  if (keys.length === 0) return;
  const names = keys.map(({ tenantId, conversationKey }) => `${tenantId}/${conversationKey}`);
  // 64 bits of a hash: a collision only makes two conversations wait for each other.
  await send(
    `select count(pg_advisory_xact_lock(k)) from (
      select distinct hashtextextended(name, 0) as k from json_array_elements_text($1::json) as name order by k) as ordered`,
    [JSON.stringify(names)],
    'lock-conversations',
  );
}

function toOperatingError(error: unknown): unknown {
  if (error instanceof StoreUnavailableError) return error;
  if (isOlderTimeline(error)) return new StaleServerError('older_timeline', (error as Error).message, { cause: error });
  const kind = classifyError(error);
  if (kind === 'disk') {
    return new StoreUnavailableError(
      `Postgres cannot write to its disk: ${(error as Error).message}`,
      DISK_RETRY_AFTER_MS,
      {
        cause: error,
      },
    );
  }
  if (kind === 'connection' || kind === 'overloaded' || kind === 'retry') {
    return new StoreUnavailableError(`Postgres is not available: ${(error as Error).message}`, RETRY_AFTER_MS, {
      cause: error,
    });
  }
  return error;
}
