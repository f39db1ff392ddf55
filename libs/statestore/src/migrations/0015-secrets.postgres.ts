/** Secrets by handle. The value is encrypted with a key of its own, and that one with the installation's, which is not here. */
export const secretsPostgres: readonly string[] = [
  `create table secret (
    tenant_id uuid not null references tenant,
    key text not null,
    description text,
    hosts text,
    version integer not null check (version > 0),
    key_id text not null,
    wrapped_key text not null,
    ciphertext text not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (tenant_id, key)
  )`,
];
