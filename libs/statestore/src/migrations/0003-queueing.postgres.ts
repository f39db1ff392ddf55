/**
 * Fair claiming, queue modes, dead letters and waits. All of it is added: a binary of the revision before goes on working,
 * it only claims without regard to shares.
 */
export const queueingPostgres: readonly string[] = [
  // Who acts, from the key itself: lanes and caps are per agent. The literal 30000 is the head start of one priority step in
  // ms: a turn of priority p goes before those that have waited up to p times as long, and never starves them (aging).
  `alter table conversation_queue add column agent_key text generated always as (split_part(conversation_key, ':', 2)) stored`,
  `alter table conversation_queue add column priority integer not null default 0 check (priority between -10 and 10)`,
  `alter table conversation_queue add column rank_at bigint
    generated always as (due_at - priority * 30000) stored`,
  // Takeovers since the conversation's last turn ended or let go: a worker that dies before its first commit counts too.
  `alter table conversation_queue add column takeovers integer not null default 0`,
  `alter table conversation_queue add column queue_mode text not null default 'followup'
    check (queue_mode in ('collect', 'followup', 'steer', 'steer_backlog', 'interrupt'))`,
  `alter table conversation_queue add column queue_cap integer check (queue_cap > 0)`,
  `alter table conversation_queue add column queue_overflow text not null default 'reject'
    check (queue_overflow in ('reject', 'drop_oldest'))`,
  // One index for what each reader looks for, so that none walks over another's backlog: leases that run out, the next
  // thing to fall due, and the lanes (tenant, agent) in order of rank.
  `drop index conversation_queue_due`,
  `create index conversation_queue_leased on conversation_queue (due_at) where state = 'leased'`,
  `create index conversation_queue_ready on conversation_queue (due_at) where state = 'ready'`,
  `create index conversation_queue_lane on conversation_queue (tenant_id, agent_key, rank_at) where state = 'ready'`,
  // agent_key '' is the tenant as a whole. No row: weight 1, no cap.
  `create table claim_share (
    tenant_id uuid not null,
    agent_key text not null default '',
    weight integer not null default 1 check (weight between 1 and 100),
    max_running integer check (max_running > 0),
    primary key (tenant_id, agent_key)
  )`,
  // VOLATILE on purpose: the count takes a snapshot of its own. The claim calls it for a share it has just locked, and
  // the statement's snapshot may be older than the commit of the claim that held the lock before.
  `create function running_conversations(of_tenant uuid, of_agent text) returns bigint language sql volatile as $$
    select count(*) from conversation_queue
    where state = 'leased' and tenant_id = of_tenant and (of_agent = '' or agent_key = of_agent) $$`,
  // What a turn has to do with other turns: the dead one whose work it goes on with ("origin"), the one that took its
  // input ("delivered"), the one that waits for it ("parent").
  `alter table turn add column origin_turn_id uuid`,
  `alter table turn add column delivered_to uuid`,
  `alter table turn add column delivered_step integer`,
  `alter table turn add column parent_turn_id uuid`,
  `alter table turn add column parent_conversation_key text`,
  `create index turn_by_delivery on turn (tenant_id, delivered_to) where delivered_to is not null`,
  `create table dead_letter (
    tenant_id uuid not null,
    turn_id uuid not null,
    conversation_key text not null,
    attempts integer not null,
    cause text not null,
    died_at bigint not null,
    redriven_as uuid,
    primary key (tenant_id, turn_id)
  )`,
  `create index dead_letter_by_age on dead_letter (tenant_id, died_at, turn_id)`,
  // Both sides write the same row: whoever comes second sees the first, so no arrival is lost between two transactions.
  `create table wait (
    tenant_id uuid not null,
    kind text not null check (kind in ('approval', 'node', 'turn', 'signal')),
    wait_id text not null,
    turn_id uuid,
    conversation_key text,
    arrived_at bigint,
    outcome text,
    created_at bigint not null,
    primary key (tenant_id, kind, wait_id),
    check ((arrived_at is null) = (outcome is null))
  )`,
  `create index wait_by_age on wait (created_at)`,
];
