import type { Dialect } from './state-store';

/**
 * The database's own clock in milliseconds, as SQL. Every lease and expiry decision uses it; `now()` would be frozen at
 * the start of the transaction. On SQLite it is the host's clock, the only one there is.
 */
export const NOW_MS: Readonly<Record<Dialect, string>> = {
  postgres: `(extract(epoch from clock_timestamp()) * 1000)::bigint`,
  sqlite: `cast(unixepoch('subsec') * 1000 as integer)`,
};
