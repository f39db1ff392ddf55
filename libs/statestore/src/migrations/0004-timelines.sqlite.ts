/** The SQLite twin of `0004-timelines.postgres.ts`. A file has one history: there is no standby to promote. */
export const timelinesSqlite: readonly string[] = [`alter table conversation_queue add column leased_at integer`];
