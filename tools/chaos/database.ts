import { existsSync } from 'node:fs';
import { Client } from 'pg';
import sqlite3 from 'sqlite3';

/** The harness' own look at the database, past every proxy. */
export interface DatabaseView {
  query<Row>(sql: string): Promise<Row[]>;
  close(): Promise<void>;
}

const QUERY_TIMEOUT_MS = 15_000;

/** Each query on a connection of its own: the server it asks is restarted every now and then. */
export class PostgresView implements DatabaseView {
  constructor(private readonly url: string) {}

  async query<Row>(sql: string): Promise<Row[]> {
    const client = new Client({
      connectionString: this.url,
      connectionTimeoutMillis: 3_000,
      query_timeout: QUERY_TIMEOUT_MS,
      statement_timeout: QUERY_TIMEOUT_MS,
    });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(sql)).rows as Row[];
    } finally {
      await client.end().catch(() => {});
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Reads never wait in WAL mode; the write lock is taken only by `holdLock`. */
export class SqliteView implements DatabaseView {
  private database: sqlite3.Database | undefined;

  constructor(private readonly path: string) {}

  query<Row>(sql: string): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.open().all(sql, (error: Error | null, rows: Row[]) => (error ? reject(error) : resolve(rows)));
    });
  }

  /** Holds the write lock until the returned function is called. */
  async holdLock(): Promise<() => Promise<void>> {
    const deadline = performance.now() + QUERY_TIMEOUT_MS;
    for (;;) {
      try {
        await this.query('begin immediate');
        return async () => void (await this.query('rollback'));
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  close(): Promise<void> {
    const { database } = this;
    this.database = undefined;
    return new Promise((resolve) => (database ? database.close(() => resolve()) : resolve()));
  }

  private open(): sqlite3.Database {
    // The apps make the file: one made here would be empty and in another journal mode.
    if (!existsSync(this.path)) throw new Error('the apps have not made the database yet');
    return (this.database ??= new sqlite3.Database(this.path, sqlite3.OPEN_READWRITE));
  }
}
