/** As on Postgres. What SQLite will have in the columns of a single event, new processes fill with nothing. */
export const packedEventsSqlite: readonly string[] = ['alter table outbox add column events text'];
