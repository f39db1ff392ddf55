/** The SQLite twin of `0013-stored-bytes.postgres.ts`: the same tables, and the same count, a row at a time. */
export const storedBytesSqlite: readonly string[] = [
  `alter table tenant add column max_stored_bytes integer check (max_stored_bytes > 0)`,
  `create table tenant_usage (
    tenant_id text primary key,
    stored_bytes integer not null
  )`,
  `create table artifact_room (
    tenant_id text not null,
    artifact_id text not null,
    size_bytes integer not null,
    expires_at integer not null,
    primary key (tenant_id, artifact_id)
  )`,
  `create index artifact_room_by_expiry on artifact_room (expires_at)`,
  ...['artifact', 'artifact_room'].flatMap((table) => [
    `create trigger ${table}_comes after insert on ${table} begin
      insert into tenant_usage (tenant_id, stored_bytes) values (new.tenant_id, new.size_bytes)
      on conflict (tenant_id) do update set stored_bytes = stored_bytes + excluded.stored_bytes;
    end`,
    `create trigger ${table}_goes after delete on ${table} begin
      update tenant_usage set stored_bytes = stored_bytes - old.size_bytes where tenant_id = old.tenant_id;
    end`,
  ]),
  `insert into tenant_usage (tenant_id, stored_bytes) select tenant_id, sum(size_bytes) from artifact group by tenant_id`,
];
