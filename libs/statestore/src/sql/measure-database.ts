import type { Statement } from '../state-store';

/** The revision of the schema. Touches: schema_revision. */
export const readRevision: Statement = {
  name: 'read-revision',
  postgres: 'select revision from schema_revision',
  sqlite: 'select revision from schema_revision',
};

/**
 * What keeps dead rows from being removed: how long the oldest snapshot has been open, and how many transactions have come since
 * (snapshots, prepared transactions and replication slots). A role without `pg_read_all_stats` sees its own sessions' only.
 */
export const measureHorizon: Statement = {
  name: 'measure-horizon',
  postgres: `
    select (extract(epoch from clock_timestamp() - min(began)) * 1000)::bigint as age_ms, max(xids)::bigint as age_xids from (
      select xact_start as began, age(backend_xmin) as xids from pg_stat_activity
        where backend_xmin is not null and pid <> pg_backend_pid()
      union all select prepared, age(transaction) from pg_prepared_xacts
      union all select null, age(xmin) from pg_replication_slots where xmin is not null) as holders`,
  sqlite: 'select null as age_ms, null as age_xids',
};

/** The tables with the most dead rows. Parameter: limit. */
export const listDeadRows: Statement = {
  name: 'list-dead-rows',
  postgres: `
    select relname as name, n_live_tup as live_rows, n_dead_tup as dead_rows,
      (extract(epoch from greatest(last_vacuum, last_autovacuum)) * 1000)::bigint as vacuumed_at
    from pg_stat_user_tables order by n_dead_tup desc, relname limit $1`,
  sqlite: `select name, 0 as live_rows, 0 as dead_rows, null as vacuumed_at from sqlite_master where ?1 < 0`,
};
