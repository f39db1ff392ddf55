/** The SQLite twin of `0016-desktops.postgres.ts`: the same columns and rules. */
export const desktopsSqlite: readonly string[] = [
  `create table desktop_environment (
    tenant_id text not null references tenant,
    environment_id text not null,
    label text,
    host_id text,
    width integer not null,
    height integer not null,
    desired text not null check (desired in ('running', 'stopped', 'absent')),
    status text not null check (status in ('pending', 'starting', 'running', 'stopped', 'failed')),
    node_id text,
    error text,
    generation integer not null check (generation > 0),
    placement integer not null check (placement > 0),
    created_at integer not null,
    updated_at integer not null,
    primary key (tenant_id, environment_id)
  )`,
  'create index desktop_environment_by_host on desktop_environment (host_id, created_at)',
];
