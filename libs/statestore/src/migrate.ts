import { MigrationExecutor, type DataSource } from 'typeorm';
import { SchemaTooNewError } from './errors';
import { SCHEMA_REVISION } from './migrations';

/** 'tyrum' in ASCII: every process that migrates this database takes the same advisory lock. */
const MIGRATION_LOCK = 0x747972756d;

/**
 * Brings the schema to this binary's revision; processes that start together take turns. All in one transaction, so that a
 * pooler in between keeps it on one connection. @throws {SchemaTooNewError}
 */
export async function migratePostgres(source: DataSource): Promise<void> {
  const runner = source.createQueryRunner();
  try {
    await runner.query('begin; set local lock_timeout = 0');
    try {
      await runner.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      const known = await runner.query(`select to_regclass('schema_revision') as found`);
      await refuseNewer(known[0]?.found ? await runner.query('select min_binary_revision from schema_revision') : []);
      // On the connection that holds the lock: with a pool of one there is no other.
      const executor = new MigrationExecutor(source, runner);
      executor.transaction = 'none';
      await executor.executePendingMigrations();
      await runner.query('commit');
    } catch (error) {
      await runner.query('rollback');
      throw error;
    }
  } finally {
    await runner.release();
  }
}

/** The same for SQLite, where the write lock of one IMMEDIATE transaction keeps the others out. */
export async function migrateSqlite(
  source: DataSource,
  patiently: (begin: () => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  await patiently(() => source.query('begin immediate'));
  try {
    const known = await source.query(`select name from sqlite_master where name = 'schema_revision'`);
    await refuseNewer(known.length > 0 ? await source.query('select min_binary_revision from schema_revision') : []);
    await source.runMigrations({ transaction: 'none' });
    await source.query('commit');
  } catch (error) {
    await source.query('rollback');
    throw error;
  }
}

function refuseNewer(rows: { min_binary_revision: number }[]): Promise<void> {
  const needed = rows[0]?.min_binary_revision ?? 0;
  return needed > SCHEMA_REVISION ? Promise.reject(new SchemaTooNewError(needed, SCHEMA_REVISION)) : Promise.resolve();
}
