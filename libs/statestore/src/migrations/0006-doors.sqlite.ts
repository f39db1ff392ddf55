/** The SQLite twin of `0006-doors.postgres.ts`: the same columns, tables and rules. */
export const doorsSqlite: readonly string[] = [
  `alter table tenant add column max_connections integer check (max_connections > 0)`,
  `alter table tenant add column max_requests integer check (max_requests > 0)`,
  `create table webhook_trigger (
    tenant_id text not null references tenant,
    trigger_id text primary key,
    label text not null,
    generation integer not null default 1 check (generation > 0),
    execution text not null,
    enabled integer not null default 1 check (enabled in (0, 1)),
    created_at integer not null,
    updated_at integer not null
  )`,
  `create index webhook_trigger_by_tenant on webhook_trigger (tenant_id, created_at)`,
];
