/** The SQLite twin of `0009-uploads.postgres.ts`. */
export const uploadsSqlite: readonly string[] = [`alter table artifact add column uploaded_by text`];
