import * as sqlite3 from 'sqlite3';
import type { BoundParam } from './row-lists';

/** Statements a connection keeps prepared at the most; ours are some hundred. */
const MAX_PREPARED = 500;

/** TypeORM asks the driver to note the stack at each call, which costs more than the call. The statement's text says as much. */
export const QUIET_DRIVER = { ...sqlite3, verbose: () => sqlite3 };

/**
 * Statements of one connection, each prepared once. TypeORM's driver prepares at every call, which sends every statement to
 * the thread pool and back twice: 37 µs where 15 do.
 */
export class PreparedSqlite {
  private readonly prepared = new Map<string, Promise<sqlite3.Statement>>();

  constructor(private readonly connection: sqlite3.Database) {}

  /** Runs a statement and resolves to its rows. Calls at the same time may run in any order. */
  async all(text: string, params: readonly BoundParam[]): Promise<unknown[]> {
    const runnable = (await this.prepare(text)) ?? this.connection;
    return new Promise((resolve, reject) => {
      const answer = (error: Error | null, rows: unknown[]) => (error ? reject(error) : resolve(rows));
      if (runnable === this.connection) runnable.all(text, [...params], answer);
      else (runnable as sqlite3.Statement).all([...params], answer);
    });
  }

  /** Before the connection closes: SQLite refuses to while a statement is prepared. */
  async finalize(): Promise<void> {
    const all = await Promise.allSettled(this.prepared.values());
    this.prepared.clear();
    const statements = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await Promise.all(statements.map((one) => new Promise<void>((resolve) => one.finalize(() => resolve()))));
  }

  /** Undefined: there is no room to keep it, or it must not be kept. */
  private prepare(text: string): Promise<sqlite3.Statement> | undefined {
    const known = this.prepared.get(text);
    if (known || this.prepared.size >= MAX_PREPARED) return known;
    // The explanation of a write is under way until it is finalized, and keeps what runs beside it from committing.
    if (/^explain/i.test(text)) return undefined;
    const statement = new Promise<sqlite3.Statement>((resolve, reject) => {
      const made: sqlite3.Statement = this.connection.prepare(plannedOnce(text), (error: Error | null) => {
        if (!error) return resolve(made);
        // It may be prepared once its table is there.
        this.prepared.delete(text);
        reject(error);
      });
    });
    this.prepared.set(text, statement);
    return statement;
  }
}

/**
 * SQLite looks at the value of a parameter that stands behind LIMIT for its plan, and so plans the statement anew at each call: 1.6 ms
 * for a claim that runs for 1. Into a sum it does not look.
 */
function plannedOnce(text: string): string {
  return text.replace(/\b(limit|offset) (\?\d+)/gi, '$1 ($2 + 0)');
}
