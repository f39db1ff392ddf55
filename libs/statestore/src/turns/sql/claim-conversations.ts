import { NOW_MS } from '../../clock-sql';
import { beatFrom } from '../../sql/beat-instance';
import { disabled, disabledTenants, hasCap, isStale, lease, openTurns, ready } from './claim-parts';
import type { Statement } from '../../state-store';

/** Tenants, and agents of one tenant, that one claim looks at; the next one begins where this one ended. */
export const CLAIM_TENANTS = 64;
export const CLAIM_AGENTS = 64;
/**
 * Conversations of one claim at the most, whatever is asked for. A literal in the statement: the planner cannot know how few rows come out of the
 * ring, and with its guess it would read the whole table to join them.
 */
export const CLAIM_MOST = 100;

/** It looked at as many tenants, or agents of one, as it may, whatever is due there. */
const isCut = `((select count(*) from ring) >= ${CLAIM_TENANTS} or (select max(agents) from seen) >= ${CLAIM_AGENTS})`;
const capped = `${hasCap} as capped`;

/**
 * Takes up to a number of due conversations under a new lease: first those whose holder let its lease run out, then those
 * that are ready, in turns of tenants. The tenants with ready work form a ring, walked from the caller's cursor with one
 * index probe a tenant; each has its `weight` conversations a round, the highest rank of all its agents first. So the
 * cost depends on how many lanes (tenant, agent) one claim looks at, never on how much waits in them, and a tenant with
 * work is served after at most one round of the others.
 *
 * SKIP LOCKED lets workers claim side by side without waiting. A share with a cap is locked first and the running are
 * counted after that, so that two claims cannot fill the same place; a share somebody else holds is passed over.
 *
 * What belongs to a disabled tenant is passed over: it takes no place in the ring, the last one neither, and its leases that ran
 * out stay as they are.
 *
 * The clock of `expired` stands in a subselect, so that the index is entered at what has run out and leases that have not
 * are never walked over.
 *
 * Postgres answers with the conversations' first open turns, a row each, which spares a round trip. They are those of the
 * statement's snapshot, but a row is locked as it is: its last holder may have committed in between. Then the locked version
 * (xmin) is another than that of the snapshot, the row is `is_stale`, and its turns must be read again: a turn that the last
 * holder started, parked or ended would be taken for one it did not.
 *
 * With each row comes whether any share has a cap (`capped`): what is due may then be waiting for a place under one.
 *
 * Parameters: owner, lease TTL in ms, how many, the ring's cursor (tenant), how much of its weight that tenant has had
 * this round, a JSON object {tenant: agent to go on after} for tenants with more agents than one claim looks at, and (Postgres)
 * how many turns of each. Touches: conversation_queue, claim_share, lease_history, server_timeline, tenant, turn.
 */
export const claimConversations: Statement = {
  name: 'claim-conversations',
  postgres: `
    with recursive
    ${disabledTenants},
    expired as materialized (
      select tenant_id, conversation_key, lease_owner, xmin::text as version from conversation_queue
      where state = 'leased' and due_at <= (select ${NOW_MS.postgres}) and tenant_id not in ${disabled}
      order by due_at limit $3 for update skip locked),
    onward(place, tenant_id) as (
      (select 1, tenant_id from ${ready} and tenant_id >= $4::uuid order by tenant_id limit 1)
      union all
      select o.place + (o.tenant_id not in ${disabled})::int, n.tenant_id from onward o cross join lateral (
        select tenant_id from ${ready} and tenant_id > o.tenant_id order by tenant_id limit 1) n
      where o.place + (o.tenant_id not in ${disabled})::int <= ${CLAIM_TENANTS}),
    wrapped(place, tenant_id) as (
      (select ${CLAIM_TENANTS} + 1, tenant_id from ${ready} and tenant_id < $4::uuid order by tenant_id limit 1)
      union all
      select w.place + (w.tenant_id not in ${disabled})::int, n.tenant_id from wrapped w cross join lateral (
        select tenant_id from ${ready} and tenant_id > w.tenant_id and tenant_id < $4::uuid
        order by tenant_id limit 1) n
      where w.place + (w.tenant_id not in ${disabled})::int <= 2 * ${CLAIM_TENANTS}),
    ring as materialized (
      select r.place, r.tenant_id, coalesce(s.weight, 1) as weight, s.max_running
      from (select * from (select * from onward union all select * from wrapped) walked
        where tenant_id not in ${disabled} order by place limit ${CLAIM_TENANTS}) r
      left join claim_share s on s.tenant_id = r.tenant_id and s.agent_key = ''),
    lanes(tenant_id, agent_key, nth, place, weight, max_running) as (
      select r.tenant_id, a.agent_key, 1, r.place, r.weight, r.max_running from ring r cross join lateral (
        (select agent_key from ${ready} and tenant_id = r.tenant_id and agent_key > ($6::json ->> r.tenant_id::text)
        order by agent_key limit 1)
        union all
        (select agent_key from ${ready} and tenant_id = r.tenant_id order by agent_key limit 1)
        limit 1) a
      union all
      select l.tenant_id, a.agent_key, l.nth + 1, l.place, l.weight, l.max_running from lanes l cross join lateral (
        select agent_key from ${ready} and tenant_id = l.tenant_id and agent_key > l.agent_key
        order by agent_key limit 1) a
      where l.nth < ${CLAIM_AGENTS}),
    seen as materialized (
      select l.*,
        greatest(l.weight, ceil($3::numeric * l.weight / sum(l.weight) over ()))::int as quota,
        max(l.nth) over (partition by l.tenant_id) as agents,
        last_value(l.agent_key) over (partition by l.tenant_id order by l.nth
          rows between unbounded preceding and unbounded following) as last_agent
      from lanes l),
    room as materialized (
      select s.tenant_id, s.agent_key, s.max_running - running_conversations(s.tenant_id, s.agent_key) as places
      from (select * from claim_share
        where max_running is not null and (
          (agent_key = '' and tenant_id in (select tenant_id from ring))
          or (tenant_id, agent_key) in (select tenant_id, agent_key from seen))
        for update skip locked) s),
    candidate as materialized (
      select l.*, c.conversation_key, c.rank_at, c.version,
        row_number() over (partition by l.tenant_id, l.agent_key order by c.rank_at, c.conversation_key) as nth_of_agent
      from seen l cross join lateral (
        select conversation_key, rank_at, xmin::text as version from ${ready} and tenant_id = l.tenant_id and agent_key = l.agent_key
          and due_at <= ${NOW_MS.postgres}
        order by rank_at limit l.quota for update skip locked) c),
    allowed as (
      select c.*, row_number() over (partition by c.tenant_id order by c.rank_at, c.conversation_key) as nth_of_tenant
      from candidate c
      left join claim_share s on s.tenant_id = c.tenant_id and s.agent_key = c.agent_key
      left join room on room.tenant_id = c.tenant_id and room.agent_key = c.agent_key
      where s.max_running is null or c.nth_of_agent <= coalesce(room.places, 0)),
    passes as (
      select a.*,
        (a.nth_of_tenant - 1 + case when a.tenant_id = $4::uuid then $5::int else 0 end) / a.weight as pass
      from allowed a left join room on room.tenant_id = a.tenant_id and room.agent_key = ''
      where a.max_running is null or a.nth_of_tenant <= coalesce(room.places, 0)),
    due as materialized (select * from (
      select tenant_id, conversation_key, lease_owner, null::int as place, null::bigint as pass, null::int as agents,
        null as last_agent, false as more, version from expired
      union all
      (select tenant_id, conversation_key, null, place, pass, agents, last_agent,
        bool_or(nth_of_agent >= quota) over () or ${isCut}, version
      from passes order by pass, place, nth_of_tenant
      limit greatest(0, $3 - (select count(*) from expired)))) taken limit ${CLAIM_MOST}),
    claimed as (
      update conversation_queue q set ${lease},
        takeovers = q.takeovers + case when due.lease_owner is null then 0 else 1 end
      from due where q.tenant_id = due.tenant_id and q.conversation_key = due.conversation_key
      returning q.tenant_id, q.conversation_key, q.lease_token, q.takeovers, q.queue_mode, q.open_from,
        due.lease_owner as taken_from, due.place, due.pass, due.agents, due.last_agent, due.more, due.version),
    noted as (
      insert into lease_history (kind, name, token, owner, taken_from, reason, at)
      select 'conversation', tenant_id || '/' || conversation_key, lease_token, $1, taken_from, 'taken_over', ${NOW_MS.postgres}
      from claimed where taken_from is not null)
    select t.*, claimed.*, ${isStale}, ${capped}
    from claimed ${openTurns('$7')}
    order by pass nulls first, place, claimed.tenant_id, claimed.conversation_key, t.turn_seq`,
  // One writer at a time, so what is picked here is still so when `takeConversations` takes it in the same transaction.
  // SQLite has no lateral join: a lane's first rows are found through their rowids.
  sqlite: `
    with recursive
    clock(ms) as materialized (select ${NOW_MS.sqlite}),
    ${disabledTenants},
    expired as materialized (
      select tenant_id, conversation_key, lease_owner from conversation_queue
      where state = 'leased' and due_at <= (select ms from clock) and tenant_id not in ${disabled}
      order by due_at limit ?3),
    onward(place, tenant_id) as (
      select 1, (select min(tenant_id) from ${ready} and tenant_id >= ?4)
      union all
      select place + (tenant_id not in ${disabled}), (select min(tenant_id) from ${ready} and tenant_id > o.tenant_id)
      from onward o
      where o.tenant_id is not null and place + (tenant_id not in ${disabled}) <= ${CLAIM_TENANTS}),
    wrapped(place, tenant_id) as (
      select ${CLAIM_TENANTS} + 1, (select min(tenant_id) from ${ready} and tenant_id < ?4)
      union all
      select place + (tenant_id not in ${disabled}),
        (select min(tenant_id) from ${ready} and tenant_id > w.tenant_id and tenant_id < ?4)
      from wrapped w
      where w.tenant_id is not null and place + (tenant_id not in ${disabled}) <= 2 * ${CLAIM_TENANTS}),
    ring as materialized (
      select r.place, r.tenant_id, coalesce(s.weight, 1) as weight, s.max_running
      from (select * from (select * from onward union all select * from wrapped) where tenant_id is not null
        and tenant_id not in ${disabled} order by place limit ${CLAIM_TENANTS}) r
      left join claim_share s on s.tenant_id = r.tenant_id and s.agent_key = ''),
    lanes(tenant_id, agent_key, nth) as (
      select tenant_id, coalesce(
        (select min(agent_key) from ${ready} and tenant_id = r.tenant_id
          and agent_key > (select value from jsonb_each(?6) where key = r.tenant_id)),
        (select min(agent_key) from ${ready} and tenant_id = r.tenant_id)), 1 from ring r
      union all
      select tenant_id, (select min(agent_key) from ${ready} and tenant_id = l.tenant_id and agent_key > l.agent_key),
        nth + 1 from lanes l
      where l.agent_key is not null and nth < ${CLAIM_AGENTS}),
    seen as materialized (
      select l.tenant_id, l.agent_key, r.place, r.weight, r.max_running,
        max(l.nth) over (partition by l.tenant_id) as agents,
        last_value(l.agent_key) over (partition by l.tenant_id order by l.nth
          rows between unbounded preceding and unbounded following) as last_agent
      from lanes l join ring r on r.tenant_id = l.tenant_id where l.agent_key is not null),
    candidate as materialized (
      select l.*, q.conversation_key, q.rank_at,
        row_number() over (partition by l.tenant_id, l.agent_key order by q.rank_at, q.conversation_key) as nth_of_agent
      from seen l join conversation_queue q on q.rowid in (
        select waiting.rowid from conversation_queue waiting where waiting.state = 'ready' and waiting.tenant_id = l.tenant_id
          and waiting.agent_key = l.agent_key and waiting.due_at <= (select ms from clock)
        order by waiting.rank_at limit ?3)),
    allowed as (
      select c.*, row_number() over (partition by c.tenant_id order by c.rank_at, c.conversation_key) as nth_of_tenant
      from candidate c left join claim_share s on s.tenant_id = c.tenant_id and s.agent_key = c.agent_key
      where s.max_running is null or c.nth_of_agent <= s.max_running - (
        select count(*) from conversation_queue where state = 'leased' and tenant_id = c.tenant_id
          and agent_key = c.agent_key)),
    passes as (
      select a.*, (a.nth_of_tenant - 1 + case when a.tenant_id = ?4 then ?5 else 0 end) / a.weight as pass
      from allowed a
      where a.max_running is null or a.nth_of_tenant <= a.max_running - (
        select count(*) from conversation_queue where state = 'leased' and tenant_id = a.tenant_id))
    select tenant_id, conversation_key, lease_owner as taken_from, null as place, null as pass, null as agents,
      null as last_agent, false as more, (select ms from clock) as now_ms, ${capped} from expired
    union all
    select * from (
      select tenant_id, conversation_key, null, place, pass, agents, last_agent,
        max(nth_of_agent) over () >= ?3 or ${isCut}, (select ms from clock), ${capped}
      from passes order by pass, place, nth_of_tenant
      limit max(0, ?3 - (select count(*) from expired)))`,
};

/**
 * SQLite's second half of a claim: takes what was picked. Parameters: owner, lease TTL in ms, now in ms, a JSON list of
 * {tenant_id, conversation_key}. Touches: conversation_queue.
 */
export const takeConversations: Statement = {
  name: 'take-conversations',
  postgres: '',
  sqlite: `
    update conversation_queue as q set state = 'leased', lease_owner = ?1, lease_token = q.lease_token + 1,
      due_at = ?3 + ?2, leased_at = ?3, takeovers = q.takeovers + (q.lease_owner is not null)
    from jsonb_each(?4) x
    where q.tenant_id = x.value ->> 'tenant_id' and q.conversation_key = x.value ->> 'conversation_key'
    returning tenant_id, conversation_key, lease_token, takeovers, queue_mode`.trim(),
};

/** Before it, where a lease of somebody else has run out. Parameters: owner, now in ms, the same list. Touches: lease_history. */
export const noteTakeovers: Statement = {
  name: 'note-takeovers',
  postgres: '',
  sqlite: `
    insert into lease_history (kind, name, token, owner, taken_from, reason, at)
    select 'conversation', q.tenant_id || '/' || q.conversation_key, q.lease_token + 1, ?1, q.lease_owner, 'taken_over', ?2
    from jsonb_each(?3) x join conversation_queue q on q.tenant_id = x.value ->> 'tenant_id'
      and q.conversation_key = x.value ->> 'conversation_key'
    where q.lease_owner is not null`,
};

/**
 * What has waited longest is looked at for the lane it is in, so many conversations at the most: a disabled tenant's may be any
 * number. What is behind those, or behind what waits under a cap, is found only by chance if it is beyond the ring's next lanes.
 */
const LANES_SOUGHT = 64;

/** As `min(due_at)` it would be planned, before there are statistics, as a walk through another index of the same rows. */
const first = (state: string, after: string) =>
  `(select due_at from conversation_queue where state = '${state}'${after} order by due_at limit 1)`;

/** The clock in a subselect, so that indexes are entered at it and what lies before is not walked over. */
const look = (now: string, earlier: (a: string, b: string) => string) => {
  const of = (after: string) => earlier(first('ready', after), first('leased', after));
  return `
    select ${now} as now_ms, ${of('')} as due_at, ${of(` and due_at > (select ${now})`)} as later_at, ${capped},
      lane.tenant_id as lane_tenant, lane.agent_before as lane_before
    from (select 1) as one left join (
      select q.tenant_id, (select max(agent_key) from ${ready} and tenant_id = q.tenant_id
        and agent_key < q.agent_key) as agent_before
      from (select tenant_id, agent_key, due_at from ${ready} and due_at <= (select ${now})
        order by due_at limit ${LANES_SOUGHT}) q
      where q.tenant_id not in (select tenant_id from tenant where disabled_at is not null)
      order by q.due_at limit 1) lane on true`.trim();
};

/**
 * The database's clock, when the next conversation falls due or is overdue, the next that is not due yet, and whether any
 * share has a cap; with them the tenant of what is ready and has waited longest, and its agent before that one's. Touches:
 * claim_share, conversation_queue, tenant.
 */
export const nextDue: Statement = {
  name: 'next-due',
  postgres: look(NOW_MS.postgres, (a, b) => `least(${a}, ${b})`),
  sqlite: look(NOW_MS.sqlite, (a, b) => `min(coalesce(${a}, ${b}), coalesce(${b}, ${a}))`),
};

/** The same with a heartbeat, on Postgres. Parameters: those of the beat. Touches: conversation_queue, instance. */
export const nextDueWithBeat: Statement = {
  name: 'next-due-with-beat',
  postgres: `with ${beatFrom(1)} ${nextDue.postgres}`,
  sqlite: '',
};
