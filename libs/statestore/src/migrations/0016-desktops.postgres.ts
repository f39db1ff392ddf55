/**
 * Desktops: what operators want, and what the host that carries them last said. `generation` grows with each wish, so that a host
 * never answers one it has not seen; `placement` with each move, so that what an earlier host was is never taken up again.
 */
export const desktopsPostgres: readonly string[] = [
  `create table desktop_environment (
    tenant_id uuid not null references tenant,
    environment_id uuid not null,
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
    created_at bigint not null,
    updated_at bigint not null,
    primary key (tenant_id, environment_id)
  )`,
  'create index desktop_environment_by_host on desktop_environment (host_id, created_at)',
];
