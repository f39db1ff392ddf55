import { NOW_MS } from '../../clock-sql';
import type { Statement } from '../../state-store';
import { disabled, disabledTenants, hasCap, isStale, lease, openTurns, ready } from './claim-parts';

/**
 * Takes all that is due under a new lease, or nothing: `is_all` says which, in each row; one without a conversation says that none
 * was due. Nothing is taken if there is more than was asked for, if a lease has run out, or if a share has a cap: those are for
 * `claimConversations`. Who takes all passes nobody over, so there is no order to keep, and it costs half. What other claims have
 * locked is theirs. For Postgres: on SQLite the other half of a claim costs more than what this would spare.
 *
 * Parameters: owner, lease TTL in ms, how many, and how many turns of each. Touches: conversation_queue, claim_share,
 * server_timeline, tenant, turn.
 */
export const claimAllDue: Statement = {
  name: 'claim-all-due',
  postgres: `
    with ${disabledTenants},
    due as materialized (
      select tenant_id, conversation_key, xmin::text as version from ${ready} and due_at <= (select ${NOW_MS.postgres})
      order by due_at limit $3::int + 1 for update skip locked),
    verdict as materialized (select (select count(*) from due) <= $3::int and not ${hasCap} and not exists (
      select 1 from conversation_queue
      where state = 'leased' and due_at <= (select ${NOW_MS.postgres}) and tenant_id not in ${disabled}) as is_all),
    claimed as (
      update conversation_queue q set ${lease}
      from due where q.tenant_id = due.tenant_id and q.conversation_key = due.conversation_key
        and q.tenant_id not in ${disabled} and (select is_all from verdict)
      returning q.tenant_id, q.conversation_key, q.lease_token, q.takeovers, q.queue_mode, q.open_from, due.version)
    select t.*, claimed.*, ${isStale}, verdict.is_all
    from verdict left join claimed on true ${openTurns('$4::int')}
    order by claimed.tenant_id, claimed.conversation_key, t.turn_seq`,
  sqlite: '',
};
