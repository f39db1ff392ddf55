/** Whose sessions are whose, for those who log in elsewhere, and a short way to the disabled tenants. All of it is added. */
export const logInsPostgres: readonly string[] = [
  // `<issuer> <subject>` of who logged in; null for a token that somebody issued.
  `alter table auth_token add column subject text`,
  `create index auth_token_by_subject on auth_token (subject) where subject is not null`,
  // Every claim asks which tenants to pass over: nearly always none.
  `create index tenant_disabled on tenant (tenant_id) where disabled_at is not null`,
];
