/** The SQLite twin of `0015-secrets.postgres.ts`: the same columns and rules. */
export const secretsSqlite: readonly string[] = [
  `create table secret (
    tenant_id text not null references tenant,
    key text not null,
    description text,
    hosts text,
    version integer not null check (version > 0),
    key_id text not null,
    wrapped_key text not null,
    ciphertext text not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (tenant_id, key)
  )`,
];
