/** The SQLite twin of `0011-log-ins.postgres.ts`: the same columns and indexes. */
export const logInsSqlite: readonly string[] = [
  `alter table auth_token add column subject text`,
  `create index auth_token_by_subject on auth_token (subject) where subject is not null`,
  `create index tenant_disabled on tenant (tenant_id) where disabled_at is not null`,
];
