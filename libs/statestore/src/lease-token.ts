/** Tokens of one timeline; a lease that changes hands a thousand times a second uses them up in 34 years. */
const COUNTERS = 2 ** 40;

/**
 * What a token of this timeline is greater than, as SQL for Postgres: `greatest(token, …) + 1` is the next one, and greater than
 * all that a timeline before gave out, those included whose commits a failover lost. A subselect, so that it is asked for
 * once a statement. The first timeline begins at 0.
 */
export const LEAST_TOKEN = '(select (earlier + own_timeline() - 1) << 40 from server_timeline)';

/**
 * A token as people read it, `timeline.counter`. It stays one integer everywhere else: compared as such, and exact up to
 * the 8,192nd timeline.
 */
export function describeToken(token: number): string {
  return `${Math.floor(token / COUNTERS) + 1}.${token % COUNTERS}`;
}
