/**
 * What the edge's doors need: quotas of tenants, and triggers that webhooks fire. All of it is added. A webhook's secret is not
 * here: it follows from a key of the installation, the trigger and its generation.
 */
export const doorsPostgres: readonly string[] = [
  // Null: the installation's own limit. Connections count per edge, requests per window of ten seconds.
  `alter table tenant add column max_connections integer check (max_connections > 0)`,
  `alter table tenant add column max_requests integer check (max_requests > 0)`,
  `create table webhook_trigger (
    tenant_id uuid not null references tenant,
    trigger_id uuid primary key,
    label text not null,
    generation integer not null default 1 check (generation > 0),
    execution text not null,
    enabled boolean not null default true,
    created_at bigint not null,
    updated_at bigint not null
  )`,
  `create index webhook_trigger_by_tenant on webhook_trigger (tenant_id, created_at)`,
];
