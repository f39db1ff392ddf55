/**
 * What happened and who did it, one chain of hashes a tenant, and which processes there are. All of it is added. See
 * docs/decisions/0017-audit-entries-are-linked-behind-the-commit.md.
 */
export const auditPostgres: readonly string[] = [
  // What a commit has to say for the audit, a row a tenant: not yet in the chain, and the only thing the hot path writes.
  `create table audit_pending (
    tenant_id uuid not null,
    pending_id bigint generated always as identity,
    notes text not null,
    noted_at bigint not null,
    primary key (tenant_id, pending_id)
  )`,
  `create table audit_entry (
    tenant_id uuid not null,
    seq bigint not null check (seq > 0),
    at bigint not null,
    type text not null,
    actor text not null,
    subject text,
    detail text not null,
    hash text not null,
    primary key (tenant_id, seq)
  )`,
  `create index audit_entry_by_type on audit_entry (tenant_id, type, seq)`,
  `create index audit_entry_by_actor on audit_entry (tenant_id, actor, seq)`,
  `create index audit_entry_by_subject on audit_entry (tenant_id, subject, seq)`,
  // The end of each chain; whoever links or prunes holds this row.
  `create table audit_head (
    tenant_id uuid primary key,
    seq bigint not null,
    hash text not null,
    sealed_seq bigint not null default 0,
    sealed text,
    checkpoint_seq bigint not null default 0,
    checkpoint text
  )`,
  `create table instance (
    instance_id text primary key,
    app text not null,
    roles text not null,
    version text not null,
    state text not null check (state in ('starting', 'ready', 'draining')),
    report text not null,
    beat_ms integer not null,
    started_at bigint not null,
    last_seen_at bigint not null
  ) with (fillfactor = 50)`,
];
