/** The same as on Postgres. */
export const retentionSqlite: readonly string[] = [
  `create index message_by_age on message (created_at)`,
  `create index artifact_by_age on artifact (created_at)`,
  // Whether anybody still has the bytes under a hash.
  `create index artifact_by_hash on artifact (tenant_id, sha256)`,
  // A conversation's lease token must never fall, because workspaces refuse lower ones. When retention removes the hot row
  // of a conversation, its token is kept here, and every new conversation of the tenant begins above it.
  `create table lease_floor (
    tenant_id text primary key,
    token integer not null
  )`,
];
