/** The SQLite twin of `0008-audit.postgres.ts`: the same tables, columns and rules. */
export const auditSqlite: readonly string[] = [
  `create table audit_pending (
    pending_id integer primary key autoincrement,
    tenant_id text not null,
    notes text not null,
    noted_at integer not null
  )`,
  `create index audit_pending_by_tenant on audit_pending (tenant_id, pending_id)`,
  `create table audit_entry (
    tenant_id text not null,
    seq integer not null check (seq > 0),
    at integer not null,
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
  `create table audit_head (
    tenant_id text primary key,
    seq integer not null,
    hash text not null,
    sealed_seq integer not null default 0,
    sealed text,
    checkpoint_seq integer not null default 0,
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
    started_at integer not null,
    last_seen_at integer not null
  )`,
];
