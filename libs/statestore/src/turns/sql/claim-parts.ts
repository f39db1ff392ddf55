import { NOW_MS } from '../../clock-sql';
import { LEAST_TOKEN } from '../../lease-token';
import { OPEN, withinBytes } from './load-open-turns';

// What the ways to claim have in common, as SQL.

export const ready = `conversation_queue where state = 'ready'`;
export const disabledTenants = 'disabled as materialized (select tenant_id from tenant where disabled_at is not null)';
export const disabled = '(select tenant_id from disabled)';
export const hasCap = 'exists (select 1 from claim_share where max_running is not null)';

/** What becomes of a hot row `q` on Postgres. Parameters: owner, lease TTL in ms. */
export const lease = `state = 'leased', lease_owner = $1,
        lease_token = greatest(q.lease_token, ${LEAST_TOKEN}) + 1,
        due_at = ${NOW_MS.postgres} + $2, leased_at = ${NOW_MS.postgres}`;
/** The row that was locked is another version than the snapshot's: so may its turns be. */
export const isStale = `claimed.version <> (
      select xmin::text from conversation_queue known
      where known.tenant_id = claimed.tenant_id and known.conversation_key = claimed.conversation_key) as is_stale`;
/** The first open turns of what was claimed, to join. */
export const openTurns = (limit: string) =>
  `left join lateral (${withinBytes(`(
          select * from turn where tenant_id = claimed.tenant_id and conversation_key = claimed.conversation_key
            and turn_seq > 0 and turn_seq >= claimed.open_from and status in ${OPEN}
          order by turn_seq limit ${limit}) t`)}) t on true`;
