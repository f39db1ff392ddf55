import type { EntityManager, EntitySchema, Repository } from 'typeorm';

/** The two databases Tyrum runs on. One conformance suite holds both to the same behaviour. */
export type Dialect = 'postgres' | 'sqlite';

/**
 * One reviewed SQL statement, written for each dialect. Postgres takes `$1`, SQLite `?1`. Where a list stands, its
 * statements run in order with the same parameters and the rows of the last one are returned: SQLite has no
 * data-modifying CTE, so one Postgres statement may need several there.
 *
 * SQLite statements are written in lower case on purpose: TypeORM's driver drops the rows of a `RETURNING` clause when
 * a statement begins with upper-case INSERT, UPDATE or DELETE.
 */
export interface Statement {
  readonly name: string;
  /** The columns of the list of rows that is its last parameter, where it takes one; in Postgres' text they are `rowsOf`. */
  readonly columns?: readonly string[];
  readonly postgres: string;
  readonly sqlite: string | readonly string[];
}

/**
 * A value a statement takes. A set is the last of them: SQLite gets it as one JSON text, Postgres as one array a column
 * where the statement names its columns; small sets travel as a JSON text on both. SQLite reads it by `jsonb_each`, which takes a
 * row apart once; `json_each` would do so once a column.
 */
export type Param = string | number | boolean | null | readonly object[];

/** Reads without a transaction of their own: each statement sees the newest committed state. */
export interface Reader {
  readonly dialect: Dialect;
  /** Runs a statement and returns its rows; `bigint` columns arrive as numbers, JSON columns as text. */
  query<Row = Record<string, unknown>>(statement: Statement, params?: readonly Param[]): Promise<Row[]>;
  /** An ordinary record's repository. Use `find*`, `insert`, `update`, `delete`; `save` opens transactions of its own. */
  records<T extends object>(entity: EntitySchema<T>): Repository<T>;
}

/**
 * An open transaction. Everything done through one `Tx` commits together or not at all. It is dead once the work
 * function has returned. Never await anything but the database while holding one.
 *
 * Statements run in the order of their calls. A statement whose rows nobody needs need not be awaited: on Postgres it then
 * shares a round trip with those behind it, and the transaction fails with its error if it fails.
 */
export interface Tx extends Reader {
  /**
   * Makes this transaction the only one to write to these conversations until it ends, and must come before its first
   * write. Event order depends on it: readers order outbox rows by transaction id, Postgres hands a transaction its id
   * at its first write, and so two writers of one conversation get ids in the order in which they held it.
   */
  lockConversations(keys: readonly ConversationRef[]): Promise<void>;
  /**
   * Leaves a Postgres NOTIFY of each text to be sent right behind COMMIT, which spares a round trip. It is a transaction of its
   * own: inside this one it would make all commits of the database wait for each other. Best effort, and sent where the COMMIT is
   * refused as well; `onLost` is called if COMMIT was sent and the NOTIFY failed. False = this store does not, and nothing was left.
   */
  notifyBehind(channel: string, texts: readonly string[], onLost?: () => void): boolean;
  readonly manager: EntityManager;
}

/** Which conversation, of which tenant. */
export interface ConversationRef {
  readonly tenantId: string;
  readonly conversationKey: string;
}

/**
 * The durable state of the control plane: the only record of what was accepted, who holds it and what came of it.
 */
export interface StateStore {
  readonly dialect: Dialect;
  /**
   * Runs `work` in one transaction and returns its value after COMMIT returned. Called again inside `work`, it opens a
   * savepoint: an inner failure that is caught leaves the outer transaction usable.
   *
   * A serialization failure or deadlock, and on SQLite the failure of another transaction that shares the commit, runs `work`
   * again from the start, so it must have no effect outside the database.
   * @throws {StoreUnavailableError} the database cannot be reached or has no room for us; nothing was written
   * @throws {UnknownCommitError} the connection went while COMMIT was under way; look the outcome up by key
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Runs reads outside any transaction. On SQLite they use a second connection and never wait for the writer. */
  read<T>(work: (reader: Reader) => Promise<T>): Promise<T>;
  /** Runs one writing statement on its own: what it did is committed when this returns. */
  execute<Row = Record<string, unknown>>(statement: Statement, params?: readonly Param[]): Promise<Row[]>;
  /**
   * What became of a transaction whose COMMIT was cut off. Waits while it is still under way. `eventId` is of an event it
   * appended: a crash or a failover may give the id of a transaction that it lost to another one, which the event tells apart.
   * @throws {StoreUnavailableError}
   */
  wasCommitted(transactionId: string, eventId?: string): Promise<boolean>;
  /** Answers when the database does. @throws {StoreUnavailableError} */
  ping(): Promise<void>;
  close(): Promise<void>;
}
