/** What retention looks things up by. All of it is added: a binary of the revision before goes on working. */
export const retentionPostgres: readonly string[] = [
  `create index message_by_age on message (created_at)`,
  `create index artifact_by_age on artifact (created_at)`,
  // Whether anybody still has the bytes under a hash.
  `create index artifact_by_hash on artifact (tenant_id, sha256)`,
  // A conversation's lease token must never fall, because workspaces refuse lower ones. When retention removes the hot row
  // of a conversation, its token is kept here, and every new conversation of the tenant begins above it.
  `create table lease_floor (
    tenant_id uuid primary key,
    token bigint not null
  )`,
];
