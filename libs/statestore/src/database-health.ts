import { SCHEMA_REVISION } from './migrations';
import { listDeadRows, measureHorizon, readRevision } from './sql/measure-database';
import type { Reader } from './state-store';

/** How the database is, beyond whether it answers. */
export interface DatabaseHealth {
  readonly dialect: Reader['dialect'];
  /** Of the schema, and the newest that this binary knows. */
  readonly revision: number;
  readonly knownRevision: number;
  /** Of the oldest snapshot anybody on the server holds; null: nobody does (and on SQLite). */
  readonly horizonMs: number | null;
  readonly horizonXids: number | null;
  /** Postgres only, those with the most dead rows first; times in ms since the epoch. */
  readonly tables: readonly {
    readonly name: string;
    readonly live_rows: number;
    readonly dead_rows: number;
    readonly vacuumed_at: number | null;
  }[];
}

const MAX_TABLES = 10;

export async function readDatabaseHealth(db: Reader): Promise<DatabaseHealth> {
  const [schema] = await db.query<{ revision: number }>(readRevision);
  const [horizon] = await db.query<{ age_ms: number | null; age_xids: number | null }>(measureHorizon);
  return {
    dialect: db.dialect,
    revision: schema?.revision ?? 0,
    knownRevision: SCHEMA_REVISION,
    horizonMs: horizon?.age_ms ?? null,
    horizonXids: horizon?.age_xids ?? null,
    tables: await db.query<DatabaseHealth['tables'][number]>(listDeadRows, [MAX_TABLES]),
  };
}
