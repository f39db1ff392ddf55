import { portable } from '../../portable';

const DEPTHS = `count(*) as busy,
    sum(case when state = 'ready' and due_at <= {now} then 1 else 0 end) as ready,
    sum(case when state = 'ready' and due_at > {now} then 1 else 0 end) as later,
    sum(case when state = 'leased' then 1 else 0 end) as running,
    sum(pending) as queued_turns
  from conversation_queue where state in ('ready', 'leased')`;

/** What waits and runs for each of a tenant's agents, and its share, most first. Parameters: tenant, limit. Touches: conversation_queue, claim_share. */
export const measureAgentQueues = portable(
  'measure-agent-queues',
  `select d.*, s.weight, s.max_running from (
      select agent_key, ${DEPTHS} and tenant_id = $1 group by agent_key order by busy desc, agent_key limit $2::bigint) d
    left join claim_share s on s.tenant_id = $1 and s.agent_key = d.agent_key order by d.busy desc, d.agent_key`,
);

/** The same for each tenant. Parameter: limit. Touches: conversation_queue, claim_share. */
export const measureTenantQueues = portable(
  'measure-tenant-queues',
  `select d.*, s.weight, s.max_running from (
      select tenant_id, ${DEPTHS} group by tenant_id order by busy desc, tenant_id limit $1::bigint) d
    left join claim_share s on s.tenant_id = d.tenant_id and s.agent_key = '' order by d.busy desc, d.tenant_id`,
);

/** The conversation that has been ready for the longest. Parameter: tenant, null for all. Touches: conversation_queue. */
export const findOldestReady = portable(
  'find-oldest-ready',
  `select tenant_id, conversation_key, {now} - due_at as waiting_ms from conversation_queue
    where state = 'ready' and due_at <= {now} and ($1::uuid is null or tenant_id = $1::uuid) order by due_at limit 1`,
);

/** Turns that were given up and not redriven. Parameter: tenant, null for all. Touches: dead_letter. */
export const countDeadLetters = portable(
  'count-dead-letters',
  'select count(*) as n from dead_letter where redriven_as is null and ($1::uuid is null or tenant_id = $1::uuid)',
);
