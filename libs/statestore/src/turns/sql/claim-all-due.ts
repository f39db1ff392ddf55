import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';
import { disabled, disabledTenants, hasCap, isStale, lease, openTurns, ready } from './claim-parts';

/** Ready conversations of disabled tenants that may lie in the way. */
const PASSED_OVER = 64;

/**
 * Takes all that is due under a new lease, or nothing: `is_all` says which, in each row; one without a conversation says that none
 * was due. Nothing is taken if there is more than was asked for, if a lease has run out, if a share has a cap, or if disabled tenants
 * have much ready that would be walked over: those are for `claimConversations`. Who takes all passes nobody over, so there is no
 * order to keep, and it costs half. What other claims have locked is theirs. For Postgres: on SQLite the other half of a claim
 * costs more than what this would spare.
 *
 * The limit stands in a subselect, so that the planner knows as little of it in a plan for these parameters as in one for
 * any: else, after a backlog, the former would look cheaper to it, and each claim would be planned anew.
 *
 * Parameters: owner, lease TTL in ms, how many, and how many turns of each. Touches: conversation_queue, claim_share,
 * server_timeline, tenant, turn.
 */
export const claimAllDue: Statement = {
  name: 'claim-all-due',
  postgres: `
    with ${disabledTenants},
    clear as materialized (select not ${hasCap} and not exists (
      select 1 from conversation_queue
      where state = 'leased' and due_at <= (select ${NOW_MS.postgres}) and tenant_id not in ${disabled})
      and (select count(*) from (select 1 from disabled cross join lateral (
        select 1 from ${ready} and tenant_id = disabled.tenant_id limit ${PASSED_OVER}) q limit ${PASSED_OVER}) passed_over
      ) < ${PASSED_OVER} as is_clear),
    due as materialized (
      select tenant_id, conversation_key, xmin::text as version from ${ready} and due_at <= (select ${NOW_MS.postgres})
        and tenant_id not in ${disabled} and (select is_clear from clear)
      order by due_at limit (select $3::int + 1) for update skip locked),
    verdict as materialized (select is_clear and (select count(*) from due) <= $3::int as is_all from clear),
    claimed as (
      update conversation_queue q set ${lease}
      from due where q.tenant_id = due.tenant_id and q.conversation_key = due.conversation_key
        and (select is_all from verdict)
      returning q.tenant_id, q.conversation_key, q.lease_token, q.takeovers, q.queue_mode, q.open_from, due.version)
    select t.*, claimed.*, ${isStale}, verdict.is_all
    from verdict left join claimed on true ${openTurns('$4::int')}
    order by claimed.tenant_id, claimed.conversation_key, t.turn_seq`,
  sqlite: '',
};
