/**
 * Indexes that a statement uses only if it names them. These begin like the primary keys, with `tenant_id`, and while a table has no
 * statistics Postgres takes a walk through one of them for as cheap as a look by the key; a prepared statement keeps that choice
 * while the table grows: to write one turn's state took a walk over all turns of its tenant. Postgres uses a partial
 * index only where a statement's own conditions imply its predicate, and nobody but the lists, the sweeps and the readers of a
 * conversation's order says so. SQLite has no such choice to make: it takes the unique index.
 * A binary of the revision before goes on working, by longer ways.
 */
export const namedIndexesPostgres: readonly string[] = [
  'drop index turn_by_creation',
  'create index turn_by_creation on turn (tenant_id, created_at, turn_id) where created_at > 0',
  'drop index turn_by_place',
  'create index turn_by_place on turn (tenant_id, conversation_key, turn_seq) where turn_seq > 0',
  'drop index conversation_by_update',
  'create index conversation_by_update on conversation (tenant_id, updated_at, conversation_key) where updated_at > 0',
];
