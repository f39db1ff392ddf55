/**
 * The durable core. Times are `bigint` milliseconds since the epoch, UTC, on both dialects: one row shape, integer
 * arithmetic in SQL, no driver conversion. JSON is text: the bytes that were accepted are the bytes that are kept
 * (jsonb reorders keys, and an approval is bound to a hash of them); cast to jsonb to query it.
 *
 * Hot tables carry no foreign keys: the statements that write them also write what they refer to.
 */
export const corePostgres: readonly string[] = [
  `create table tenant (
    tenant_id uuid primary key,
    slug text not null unique,
    created_at bigint not null,
    disabled_at bigint
  )`,
  `create table auth_token (
    tenant_id uuid not null references tenant,
    token_id uuid primary key,
    secret_hash text not null,
    role text not null check (role in ('admin', 'client', 'node')),
    scopes text not null,
    label text,
    device_id text,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
  )`,
  `create index auth_token_by_tenant on auth_token (tenant_id, created_at)`,
  `create table conversation (
    tenant_id uuid not null,
    conversation_key text not null,
    agent_key text not null,
    channel text not null,
    account_key text,
    container_kind text,
    thread_id text not null,
    title text not null,
    queue_mode text not null default 'followup'
      check (queue_mode in ('collect', 'followup', 'steer', 'steer_backlog', 'interrupt')),
    created_at bigint not null,
    updated_at bigint not null,
    archived_at bigint,
    primary key (tenant_id, conversation_key)
  )`,
  `create index conversation_by_update on conversation (tenant_id, updated_at, conversation_key)`,
  // The narrow hot row: what is due, who holds it, and the counters that number its turns, messages and events.
  // fillfactor leaves room on the page for the several updates every turn makes; vacuum must keep up with them.
  `create table conversation_queue (
    tenant_id uuid not null,
    conversation_key text not null,
    state text not null check (state in ('idle', 'ready', 'leased', 'parked')),
    due_at bigint,
    pending integer not null default 0 check (pending >= 0),
    last_turn_seq bigint not null default 0,
    last_message_seq bigint not null default 0,
    last_event_seq bigint not null default 0,
    lease_owner text,
    lease_token bigint not null default 0,
    primary key (tenant_id, conversation_key),
    check ((state in ('ready', 'leased')) = (due_at is not null)),
    check ((state = 'leased') = (lease_owner is not null))
  ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)`,
  `create index conversation_queue_due on conversation_queue (due_at) where due_at is not null`,
  `create table turn (
    tenant_id uuid not null,
    turn_id uuid not null,
    conversation_key text not null,
    turn_seq bigint not null,
    kind text not null check (kind in ('workflow', 'chat')),
    trigger_kind text not null,
    status text not null check (status in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    attempt integer not null default 1,
    input text not null,
    budgets text,
    wait_kind text check (wait_kind in ('timer', 'manual', 'approval', 'node', 'turn', 'signal')),
    wait_id text,
    wait_until bigint,
    blocked_reason text check (blocked_reason in ('approval', 'takeover', 'budget', 'manual', 'policy')),
    blocked_detail text,
    cancel_requested_at bigint,
    cancel_reason text,
    error text,
    created_at bigint not null,
    started_at bigint,
    finished_at bigint,
    primary key (tenant_id, turn_id)
  ) with (fillfactor = 70)`,
  `create index turn_open on turn (tenant_id, conversation_key, turn_seq)
    where status in ('queued', 'running', 'paused')`,
  `create index turn_by_creation on turn (tenant_id, created_at, turn_id)`,
  `create table step (
    tenant_id uuid not null,
    turn_id uuid not null,
    step_index integer not null,
    action text not null,
    effect text not null check (effect in ('read', 'idempotent', 'once')),
    status text not null check (status in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    attempts integer not null,
    result text,
    error text,
    started_at bigint not null,
    finished_at bigint,
    primary key (tenant_id, turn_id, step_index)
  ) with (fillfactor = 70)`,
  `create table message (
    tenant_id uuid not null,
    conversation_key text not null,
    message_seq bigint not null,
    message_id text not null,
    turn_id uuid,
    role text not null check (role in ('system', 'user', 'assistant', 'tool')),
    parts text not null,
    metadata text,
    created_at bigint not null,
    primary key (tenant_id, conversation_key, message_seq)
  )`,
  `create unique index message_by_id on message (tenant_id, conversation_key, message_id)`,
  // Readers order by (xid, id) and stop below the oldest transaction still open: see the outbox library.
  `create table outbox (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    tenant_id uuid not null,
    event_id uuid not null,
    type text not null,
    scope_kind text not null check (scope_kind in ('global', 'agent', 'conversation', 'turn', 'node', 'client')),
    scope_id text,
    conversation_key text,
    conversation_seq bigint,
    turn_id uuid,
    payload text not null,
    occurred_at bigint not null
  )`,
  `create index outbox_position on outbox (xid, id)`,
  `create index outbox_by_age on outbox (occurred_at)`,
  `create table outbox_epoch (
    only_row boolean primary key default true check (only_row),
    epoch text not null
  )`,
  `insert into outbox_epoch (epoch) values (replace(gen_random_uuid()::text, '-', ''))`,
  `create table outbox_cursor (
    consumer text primary key,
    xid xid8 not null,
    id bigint not null,
    updated_at bigint not null
  )`,
  `create table idempotency_record (
    tenant_id uuid not null,
    route text not null,
    principal text not null,
    key text not null,
    fingerprint text not null,
    status text not null check (status in ('in_flight', 'completed')),
    owner text,
    response text,
    created_at bigint not null,
    expires_at bigint not null,
    primary key (tenant_id, route, principal, key)
  )`,
  `create index idempotency_record_by_expiry on idempotency_record (expires_at)`,
  `create table lease (
    kind text not null,
    name text not null,
    owner text,
    token bigint not null,
    expires_at bigint not null,
    acquired_at bigint not null,
    primary key (kind, name)
  )`,
  `create table lease_history (
    id bigint generated always as identity primary key,
    kind text not null,
    name text not null,
    token bigint not null,
    owner text not null,
    taken_from text,
    reason text not null check (reason in ('acquired', 'taken_over', 'released', 'lost')),
    at bigint not null
  )`,
  `create index lease_history_by_name on lease_history (kind, name, id)`,
  `create index lease_history_by_age on lease_history (at)`,
  `create table schedule (
    tenant_id uuid not null references tenant,
    schedule_id uuid not null,
    kind text not null check (kind in ('heartbeat', 'cron')),
    cadence text not null,
    execution text not null,
    delivery text,
    enabled boolean not null,
    next_fire_at bigint,
    last_fired_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (tenant_id, schedule_id)
  )`,
  `create index schedule_due on schedule (next_fire_at) where next_fire_at is not null`,
  `create table firing (
    tenant_id uuid not null,
    schedule_id uuid not null,
    instant bigint not null,
    turn_id uuid not null,
    fired_at bigint not null,
    primary key (tenant_id, schedule_id, instant)
  )`,
  `create index firing_by_age on firing (fired_at)`,
  `create table artifact (
    tenant_id uuid not null,
    artifact_id uuid not null,
    turn_id uuid,
    step_index integer,
    kind text not null,
    media_class text not null,
    filename text not null,
    mime_type text,
    size_bytes bigint not null,
    sha256 text not null,
    labels text not null,
    created_at bigint not null,
    primary key (tenant_id, artifact_id)
  )`,
  `create index artifact_by_turn on artifact (tenant_id, turn_id)`,
  `create table desktop_host (
    host_id text primary key,
    instance_id text not null,
    hostname text not null,
    version text not null,
    registered_at bigint not null,
    last_seen_at bigint not null
  )`,
  `insert into tenant (tenant_id, slug, created_at)
    values ('00000000-0000-4000-8000-000000000001', 'default', (extract(epoch from clock_timestamp()) * 1000)::bigint)`,
];
