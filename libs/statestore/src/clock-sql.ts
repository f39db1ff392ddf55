import type { Dialect } from './state-store';

/**
 * The database's own clock in milliseconds, as SQL. Every lease and expiry decision uses it; `now()` would be frozen at
 * the start of the transaction. On SQLite it is the host's clock, the only one there is. `date_part` calculates in doubles, which
 * takes half as long as `extract` with its exact decimals, and milliseconds fit a double.
 */
export const NOW_MS: Readonly<Record<Dialect, string>> = {
  postgres: `(date_part('epoch', clock_timestamp()) * 1000)::bigint`,
  sqlite: `cast(unixepoch('subsec') * 1000 as integer)`,
};
