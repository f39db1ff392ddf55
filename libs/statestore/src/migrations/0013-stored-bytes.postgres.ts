/**
 * What tenants' artifacts take, counted where rows come and go: by triggers, so that a binary of the revision before, which runs
 * beside this one while a deployment is renewed and knows nothing of the count, keeps it right too. All of it is added.
 */
export const storedBytesPostgres: readonly string[] = [
  // Null: the installation's own limit.
  `alter table tenant add column max_stored_bytes bigint check (max_stored_bytes > 0)`,
  // One row a tenant, changed with each artifact: room on its page for the next versions.
  `create table tenant_usage (
    tenant_id uuid primary key,
    stored_bytes bigint not null
  ) with (fillfactor = 50)`,
  // Room that is kept for bytes whose row is yet to come. Counted like the artifact it becomes.
  `create table artifact_room (
    tenant_id uuid not null,
    artifact_id uuid not null,
    size_bytes bigint not null,
    expires_at bigint not null,
    primary key (tenant_id, artifact_id)
  )`,
  `create index artifact_room_by_expiry on artifact_room (expires_at)`,
  // In the order of tenants: two statements that count for several of them must not wait for each other.
  `create function count_stored_bytes() returns trigger language plpgsql as $$
  begin
    insert into tenant_usage as u (tenant_id, stored_bytes)
      select tenant_id, case tg_op when 'INSERT' then sum(size_bytes) else -sum(size_bytes) end
      from changed group by tenant_id order by tenant_id
    on conflict (tenant_id) do update set stored_bytes = u.stored_bytes + excluded.stored_bytes;
    return null;
  end $$`,
  ...['artifact', 'artifact_room'].flatMap((table) => [
    `create trigger ${table}_comes after insert on ${table}
      referencing new table as changed for each statement execute function count_stored_bytes()`,
    `create trigger ${table}_goes after delete on ${table}
      referencing old table as changed for each statement execute function count_stored_bytes()`,
  ]),
  // Behind the triggers, whose making waits for all who write artifacts and lets none of them go on before the commit.
  `insert into tenant_usage (tenant_id, stored_bytes) select tenant_id, sum(size_bytes) from artifact group by tenant_id`,
];
