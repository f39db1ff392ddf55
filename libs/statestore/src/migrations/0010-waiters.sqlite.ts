/** See the migration for Postgres. */
export const waitersSqlite: readonly string[] = [
  `create index turn_by_wait on turn (tenant_id, wait_kind, wait_id) where wait_id is not null`,
];
