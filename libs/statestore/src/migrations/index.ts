import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { Dialect } from '../state-store';
import { corePostgres } from './0001-core.postgres';
import { coreSqlite } from './0001-core.sqlite';
import { edgeSlotsPostgres } from './0002-edge-slots.postgres';
import { edgeSlotsSqlite } from './0002-edge-slots.sqlite';
import { queueingPostgres } from './0003-queueing.postgres';
import { queueingSqlite } from './0003-queueing.sqlite';
import { timelinesPostgres } from './0004-timelines.postgres';
import { timelinesSqlite } from './0004-timelines.sqlite';
import { retentionPostgres } from './0005-retention.postgres';
import { retentionSqlite } from './0005-retention.sqlite';
import { doorsPostgres } from './0006-doors.postgres';
import { doorsSqlite } from './0006-doors.sqlite';
import { nodesPostgres } from './0007-nodes.postgres';
import { nodesSqlite } from './0007-nodes.sqlite';
import { auditPostgres } from './0008-audit.postgres';
import { auditSqlite } from './0008-audit.sqlite';
import { uploadsPostgres } from './0009-uploads.postgres';
import { uploadsSqlite } from './0009-uploads.sqlite';
import { waitersPostgres } from './0010-waiters.postgres';
import { waitersSqlite } from './0010-waiters.sqlite';
import { logInsPostgres } from './0011-log-ins.postgres';
import { logInsSqlite } from './0011-log-ins.sqlite';
import { leanIndexesPostgres } from './0012-lean-indexes.postgres';
import { leanIndexesSqlite } from './0012-lean-indexes.sqlite';
import { storedBytesPostgres } from './0013-stored-bytes.postgres';
import { storedBytesSqlite } from './0013-stored-bytes.sqlite';
import { namedIndexesPostgres } from './0014-named-indexes.postgres';
import { secretsPostgres } from './0015-secrets.postgres';
import { secretsSqlite } from './0015-secrets.sqlite';
import { desktopsPostgres } from './0016-desktops.postgres';
import { desktopsSqlite } from './0016-desktops.sqlite';
import { packedEventsPostgres } from './0017-packed-events.postgres';
import { packedEventsSqlite } from './0017-packed-events.sqlite';
import { turnKeyPostgres } from './0018-turn-key.postgres';

/** One schema change, written for both dialects. Forward only: expand first, contract a release later. */
interface PairedMigration {
  /** Its place in the order, and what `schema_revision` says once it ran. */
  readonly revision: number;
  readonly name: string;
  /** The oldest binary (by the revision it knows) that may still run on the schema this leaves behind. */
  readonly minBinaryRevision: number;
  readonly postgres: readonly string[];
  readonly sqlite: readonly string[];
}

const migrations: readonly PairedMigration[] = [
  { revision: 1, name: 'Core', minBinaryRevision: 1, postgres: corePostgres, sqlite: coreSqlite },
  { revision: 2, name: 'EdgeSlots', minBinaryRevision: 1, postgres: edgeSlotsPostgres, sqlite: edgeSlotsSqlite },
  { revision: 3, name: 'Queueing', minBinaryRevision: 1, postgres: queueingPostgres, sqlite: queueingSqlite },
  { revision: 4, name: 'Timelines', minBinaryRevision: 1, postgres: timelinesPostgres, sqlite: timelinesSqlite },
  { revision: 5, name: 'Retention', minBinaryRevision: 1, postgres: retentionPostgres, sqlite: retentionSqlite },
  { revision: 6, name: 'Doors', minBinaryRevision: 1, postgres: doorsPostgres, sqlite: doorsSqlite },
  { revision: 7, name: 'Nodes', minBinaryRevision: 1, postgres: nodesPostgres, sqlite: nodesSqlite },
  { revision: 8, name: 'Audit', minBinaryRevision: 1, postgres: auditPostgres, sqlite: auditSqlite },
  { revision: 9, name: 'Uploads', minBinaryRevision: 1, postgres: uploadsPostgres, sqlite: uploadsSqlite },
  { revision: 10, name: 'Waiters', minBinaryRevision: 1, postgres: waitersPostgres, sqlite: waitersSqlite },
  { revision: 11, name: 'LogIns', minBinaryRevision: 1, postgres: logInsPostgres, sqlite: logInsSqlite },
  { revision: 12, name: 'LeanIndexes', minBinaryRevision: 1, postgres: leanIndexesPostgres, sqlite: leanIndexesSqlite },
  { revision: 13, name: 'StoredBytes', minBinaryRevision: 1, postgres: storedBytesPostgres, sqlite: storedBytesSqlite },
  { revision: 14, name: 'NamedIndexes', minBinaryRevision: 1, postgres: namedIndexesPostgres, sqlite: [] },
  { revision: 15, name: 'Secrets', minBinaryRevision: 1, postgres: secretsPostgres, sqlite: secretsSqlite },
  { revision: 16, name: 'Desktops', minBinaryRevision: 1, postgres: desktopsPostgres, sqlite: desktopsSqlite },
  {
    revision: 17,
    name: 'PackedEvents',
    minBinaryRevision: 1,
    postgres: packedEventsPostgres,
    sqlite: packedEventsSqlite,
  },
  { revision: 18, name: 'TurnKey', minBinaryRevision: 1, postgres: turnKeyPostgres, sqlite: [] },
];

/** The newest schema revision this binary knows. */
export const SCHEMA_REVISION = Math.max(...migrations.map((m) => m.revision));

/** The migrations of one dialect as the classes TypeORM runs; it orders them by the number their name ends in. */
export function migrationsFor(dialect: Dialect): (new () => MigrationInterface)[] {
  return migrations.map((migration) => {
    const name = `${migration.name}${String(migration.revision).padStart(13, '0')}`;
    return class implements MigrationInterface {
      readonly name = name;

      async up(runner: QueryRunner): Promise<void> {
        for (const statement of migration[dialect]) await runner.query(statement);
        await runner.query(
          'create table if not exists schema_revision (revision integer, min_binary_revision integer)',
        );
        await runner.query('delete from schema_revision');
        await runner.query(
          `insert into schema_revision values (${migration.revision}, ${migration.minBinaryRevision})`,
        );
      }

      down(): Promise<void> {
        return Promise.reject(new Error('migrations go forward only: restore a backup to go back'));
      }
    };
  });
}
