CREATE TABLE approval (
    approval_id text primary key,
    tenant_id text not null,
    approval_key text not null,
    kind text not null,
    status text not null
      check (status in ('queued', 'reviewing', 'awaiting_human', 'approved', 'denied', 'expired', 'cancelled')),
    prompt text not null,
    motivation text not null,
    context text,
    conversation_key text not null,
    turn_id text not null,
    step_index integer not null,
    binding_hash text not null,
    latest_review text,
    created_at integer not null,
    expires_at integer,
    decided_at integer,
    consumed_at integer,
    consumed_attempt integer,
    unique (tenant_id, approval_key)
  );

CREATE TABLE artifact (
    tenant_id text not null,
    artifact_id text not null,
    turn_id text,
    step_index integer,
    kind text not null,
    media_class text not null,
    filename text not null,
    mime_type text,
    size_bytes integer not null,
    sha256 text not null,
    labels text not null,
    created_at integer not null, uploaded_by text,
    primary key (tenant_id, artifact_id)
  );

CREATE TABLE artifact_room (
    tenant_id text not null,
    artifact_id text not null,
    size_bytes integer not null,
    expires_at integer not null,
    primary key (tenant_id, artifact_id)
  );

CREATE TABLE audit_entry (
    tenant_id text not null,
    seq integer not null check (seq > 0),
    at integer not null,
    type text not null,
    actor text not null,
    subject text,
    detail text not null,
    hash text not null,
    primary key (tenant_id, seq)
  );

CREATE TABLE audit_head (
    tenant_id text primary key,
    seq integer not null,
    hash text not null,
    sealed_seq integer not null default 0,
    sealed text,
    checkpoint_seq integer not null default 0,
    checkpoint text
  );

CREATE TABLE audit_pending (
    pending_id integer primary key autoincrement,
    tenant_id text not null,
    notes text not null,
    noted_at integer not null
  );

CREATE TABLE auth_token (
    tenant_id text not null references tenant,
    token_id text primary key,
    secret_hash text not null,
    role text not null check (role in ('admin', 'client', 'node')),
    scopes text not null,
    label text,
    device_id text,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
  , subject text);

CREATE TABLE claim_share (
    tenant_id text not null,
    agent_key text not null default '',
    weight integer not null default 1 check (weight between 1 and 100),
    max_running integer check (max_running > 0),
    primary key (tenant_id, agent_key)
  );

CREATE TABLE conversation (
    tenant_id text not null,
    conversation_key text not null,
    agent_key text not null,
    channel text not null,
    account_key text,
    container_kind text,
    thread_id text not null,
    title text not null,
    queue_mode text not null default 'followup'
      check (queue_mode in ('collect', 'followup', 'steer', 'steer_backlog', 'interrupt')),
    created_at integer not null,
    updated_at integer not null,
    archived_at integer,
    primary key (tenant_id, conversation_key)
  );

CREATE TABLE conversation_queue (
    tenant_id text not null,
    conversation_key text not null,
    state text not null check (state in ('idle', 'ready', 'leased', 'parked')),
    due_at integer,
    pending integer not null default 0 check (pending >= 0),
    last_turn_seq integer not null default 0,
    last_message_seq integer not null default 0,
    last_event_seq integer not null default 0,
    lease_owner text,
    lease_token integer not null default 0, agent_key text generated always as (substr(conversation_key, 7, instr(substr(conversation_key, 7), ':') - 1)) virtual, priority integer not null default 0 check (priority between -10 and 10), rank_at integer
    generated always as (due_at - priority * 30000) virtual, takeovers integer not null default 0, queue_mode text not null default 'followup'
    check (queue_mode in ('collect', 'followup', 'steer', 'steer_backlog', 'interrupt')), queue_cap integer check (queue_cap > 0), queue_overflow text not null default 'reject'
    check (queue_overflow in ('reject', 'drop_oldest')), leased_at integer, open_from integer not null default 0,
    primary key (tenant_id, conversation_key),
    check ((state in ('ready', 'leased')) = (due_at is not null)),
    check ((state = 'leased') = (lease_owner is not null))
  );

CREATE TABLE dead_letter (
    tenant_id text not null,
    turn_id text not null,
    conversation_key text not null,
    attempts integer not null,
    cause text not null,
    died_at integer not null,
    redriven_as text,
    primary key (tenant_id, turn_id)
  );

CREATE TABLE desktop_environment (
    tenant_id text not null references tenant,
    environment_id text not null,
    label text,
    host_id text,
    width integer not null,
    height integer not null,
    desired text not null check (desired in ('running', 'stopped', 'absent')),
    status text not null check (status in ('pending', 'starting', 'running', 'stopped', 'failed')),
    node_id text,
    error text,
    generation integer not null check (generation > 0),
    placement integer not null check (placement > 0),
    created_at integer not null,
    updated_at integer not null,
    primary key (tenant_id, environment_id)
  );

CREATE TABLE desktop_host (
    host_id text primary key,
    instance_id text not null,
    hostname text not null,
    version text not null,
    registered_at integer not null,
    last_seen_at integer not null
  );

CREATE TABLE directed_message (
    id integer primary key autoincrement,
    message_id text not null unique,
    tenant_id text not null,
    slot text not null,
    connection_id text not null,
    origin text not null,
    payload text not null,
    state text not null check (state in ('queued', 'delivered', 'returned')),
    reason text check (reason in ('not_connected', 'edge_gone', 'too_late')),
    created_at integer not null,
    deliver_by integer not null,
    settled_at integer,
    check ((state = 'queued') = (settled_at is null)),
    check ((state = 'returned') = (reason is not null))
  );

CREATE TABLE dispatch (
    dispatch_id text primary key,
    tenant_id text not null,
    conversation_key text not null,
    turn_id text not null,
    step_index integer not null,
    action text not null,
    effect text not null check (effect in ('read', 'idempotent', 'once')),
    capabilities text not null,
    wanted_node text,
    state text not null check (state in ('waiting', 'sent', 'settled', 'cancelled')),
    node_id text,
    connection_id text,
    journal text,
    message_id text,
    sends integer not null default 0,
    outcome text,
    created_at integer not null,
    deadline_at integer not null,
    sent_at integer,
    settled_at integer,
    check ((state in ('settled', 'cancelled')) = (settled_at is not null))
  );

CREATE TABLE edge_slot (
    slot text primary key,
    holder text not null,
    expires_at integer not null,
    epoch text not null,
    xid integer not null,
    id integer not null
  );

CREATE TABLE firing (
    tenant_id text not null,
    schedule_id text not null,
    instant integer not null,
    turn_id text not null,
    fired_at integer not null,
    primary key (tenant_id, schedule_id, instant)
  );

CREATE TABLE idempotency_record (
    tenant_id text not null,
    route text not null,
    principal text not null,
    key text not null,
    fingerprint text not null,
    status text not null check (status in ('in_flight', 'completed')),
    owner text,
    response text,
    created_at integer not null,
    expires_at integer not null,
    primary key (tenant_id, route, principal, key)
  );

CREATE TABLE instance (
    instance_id text primary key,
    app text not null,
    roles text not null,
    version text not null,
    state text not null check (state in ('starting', 'ready', 'draining')),
    report text not null,
    beat_ms integer not null,
    started_at integer not null,
    last_seen_at integer not null
  );

CREATE TABLE lease (
    kind text not null,
    name text not null,
    owner text,
    token integer not null,
    expires_at integer not null,
    acquired_at integer not null,
    primary key (kind, name)
  );

CREATE TABLE lease_floor (
    tenant_id text primary key,
    token integer not null
  );

CREATE TABLE lease_history (
    id integer primary key autoincrement,
    kind text not null,
    name text not null,
    token integer not null,
    owner text not null,
    taken_from text,
    reason text not null check (reason in ('acquired', 'taken_over', 'released', 'lost')),
    at integer not null
  );

CREATE TABLE message (
    tenant_id text not null,
    conversation_key text not null,
    message_seq integer not null,
    message_id text not null,
    turn_id text,
    role text not null check (role in ('system', 'user', 'assistant', 'tool')),
    parts text not null,
    metadata text,
    created_at integer not null,
    primary key (tenant_id, conversation_key, message_seq)
  );

CREATE TABLE "migrations" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "timestamp" bigint NOT NULL, "name" varchar NOT NULL);

CREATE TABLE node_pairing (
    pairing_id integer primary key autoincrement,
    tenant_id text not null,
    node_id text not null,
    status text not null
      check (status in ('queued', 'reviewing', 'awaiting_human', 'approved', 'denied', 'revoked')),
    motivation text not null,
    trust_level text check (trust_level in ('local', 'remote')),
    label text,
    capabilities text not null,
    allowlist text not null,
    latest_review text,
    token_id text,
    token_used_at integer,
    requested_at integer not null,
    last_seen_at integer not null,
    updated_at integer not null,
    unique (tenant_id, node_id)
  );

CREATE TABLE outbox (
    id integer primary key autoincrement,
    xid integer not null default 0,
    tenant_id text not null,
    event_id text not null,
    type text not null,
    scope_kind text not null check (scope_kind in ('global', 'agent', 'conversation', 'turn', 'node', 'client')),
    scope_id text,
    conversation_key text,
    conversation_seq integer,
    turn_id text,
    payload text not null,
    occurred_at integer not null
  , events text);

CREATE TABLE outbox_cursor (
    consumer text primary key,
    xid integer not null,
    id integer not null,
    updated_at integer not null
  );

CREATE TABLE outbox_epoch (
    only_row integer primary key default 1 check (only_row = 1),
    epoch text not null
  );

CREATE TABLE peer_connection (
    connection_id text primary key,
    tenant_id text not null,
    device_id text not null,
    role text not null check (role in ('client', 'node')),
    slot text not null,
    holder text not null,
    device text not null,
    capabilities text not null,
    journal text,
    beacon text,
    connected_at integer not null,
    last_seen_at integer not null
  );

CREATE TABLE policy_override (
    policy_override_id text primary key,
    tenant_id text not null,
    tool_id text not null,
    pattern text not null,
    workspace_id text,
    status text not null check (status in ('active', 'revoked', 'expired')),
    created_by text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
  );

CREATE TABLE schedule (
    tenant_id text not null references tenant,
    schedule_id text not null,
    kind text not null check (kind in ('heartbeat', 'cron')),
    cadence text not null,
    execution text not null,
    delivery text,
    enabled integer not null,
    next_fire_at integer,
    last_fired_at integer,
    created_at integer not null,
    updated_at integer not null,
    primary key (tenant_id, schedule_id)
  );

CREATE TABLE schema_revision (revision integer, min_binary_revision integer);

CREATE TABLE secret (
    tenant_id text not null references tenant,
    key text not null,
    description text,
    hosts text,
    version integer not null check (version > 0),
    key_id text not null,
    wrapped_key text not null,
    ciphertext text not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (tenant_id, key)
  );

CREATE TABLE step (
    tenant_id text not null,
    turn_id text not null,
    step_index integer not null,
    action text not null,
    effect text not null check (effect in ('read', 'idempotent', 'once')),
    status text not null check (status in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    attempts integer not null,
    result text,
    error text,
    started_at integer not null,
    finished_at integer,
    primary key (tenant_id, turn_id, step_index)
  );

CREATE TABLE tenant (
    tenant_id text primary key,
    slug text not null unique,
    created_at integer not null,
    disabled_at integer
  , max_connections integer check (max_connections > 0), max_requests integer check (max_requests > 0), max_stored_bytes integer check (max_stored_bytes > 0));

CREATE TABLE tenant_usage (
    tenant_id text primary key,
    stored_bytes integer not null
  );

CREATE TABLE turn (
    tenant_id text not null,
    turn_id text not null,
    conversation_key text not null,
    turn_seq integer not null,
    kind text not null check (kind in ('workflow', 'chat')),
    trigger_kind text not null,
    status text not null check (status in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    attempt integer not null default 1,
    input text not null,
    budgets text,
    wait_kind text check (wait_kind in ('timer', 'manual', 'approval', 'node', 'turn', 'signal')),
    wait_id text,
    wait_until integer,
    blocked_reason text check (blocked_reason in ('approval', 'takeover', 'budget', 'manual', 'policy')),
    blocked_detail text,
    cancel_requested_at integer,
    cancel_reason text,
    error text,
    created_at integer not null,
    started_at integer,
    finished_at integer, origin_turn_id text, delivered_to text, delivered_step integer, parent_turn_id text, parent_conversation_key text,
    primary key (tenant_id, turn_id)
  );

CREATE TABLE wait (
    tenant_id text not null,
    kind text not null check (kind in ('approval', 'node', 'turn', 'signal')),
    wait_id text not null,
    turn_id text,
    conversation_key text,
    arrived_at integer,
    outcome text,
    created_at integer not null,
    primary key (tenant_id, kind, wait_id),
    check ((arrived_at is null) = (outcome is null))
  );

CREATE TABLE webhook_trigger (
    tenant_id text not null references tenant,
    trigger_id text primary key,
    label text not null,
    generation integer not null default 1 check (generation > 0),
    execution text not null,
    enabled integer not null default 1 check (enabled in (0, 1)),
    created_at integer not null,
    updated_at integer not null
  );

CREATE INDEX approval_by_creation on approval (tenant_id, created_at, approval_id);

CREATE INDEX approval_by_turn on approval (tenant_id, turn_id);

CREATE INDEX approval_decided on approval (decided_at) where decided_at is not null;

CREATE INDEX artifact_by_age on artifact (created_at);

CREATE INDEX artifact_by_hash on artifact (tenant_id, sha256);

CREATE INDEX artifact_by_turn on artifact (tenant_id, turn_id);

CREATE INDEX artifact_room_by_expiry on artifact_room (expires_at);

CREATE INDEX audit_entry_by_actor on audit_entry (tenant_id, actor, seq);

CREATE INDEX audit_entry_by_subject on audit_entry (tenant_id, subject, seq);

CREATE INDEX audit_entry_by_type on audit_entry (tenant_id, type, seq);

CREATE INDEX audit_pending_by_tenant on audit_pending (tenant_id, pending_id);

CREATE INDEX auth_token_by_subject on auth_token (subject) where subject is not null;

CREATE INDEX auth_token_by_tenant on auth_token (tenant_id, created_at);

CREATE INDEX conversation_by_update on conversation (tenant_id, updated_at, conversation_key);

CREATE INDEX conversation_queue_lane on conversation_queue (tenant_id, agent_key, rank_at) where state = 'ready';

CREATE INDEX conversation_queue_leased on conversation_queue (due_at) where state = 'leased';

CREATE INDEX conversation_queue_ready on conversation_queue (due_at) where state = 'ready';

CREATE INDEX dead_letter_by_age on dead_letter (tenant_id, died_at, turn_id);

CREATE INDEX desktop_environment_by_host on desktop_environment (host_id, created_at);

CREATE INDEX directed_message_queued on directed_message (slot, id) where state = 'queued';

CREATE INDEX directed_message_returned on directed_message (origin, id) where state = 'returned';

CREATE INDEX directed_message_settled on directed_message (settled_at) where settled_at is not null;

CREATE INDEX dispatch_by_deadline on dispatch (deadline_at) where state in ('waiting', 'sent');

CREATE INDEX dispatch_by_message on dispatch (message_id) where message_id is not null;

CREATE INDEX dispatch_open on dispatch (tenant_id, created_at) where state in ('waiting', 'sent');

CREATE INDEX dispatch_settled on dispatch (settled_at) where settled_at is not null;

CREATE INDEX firing_by_age on firing (fired_at);

CREATE INDEX idempotency_record_by_expiry on idempotency_record (expires_at);

CREATE INDEX lease_history_by_age on lease_history (at);

CREATE INDEX lease_history_by_name on lease_history (kind, name, id);

CREATE INDEX message_by_age on message (created_at);

CREATE UNIQUE INDEX message_by_id on message (tenant_id, conversation_key, message_id);

CREATE INDEX node_pairing_by_status on node_pairing (tenant_id, status, pairing_id);

CREATE INDEX peer_connection_by_device on peer_connection (tenant_id, device_id);

CREATE INDEX peer_connection_by_edge on peer_connection (slot, holder);

CREATE INDEX policy_override_by_tool on policy_override (tenant_id, tool_id);

CREATE INDEX schedule_due on schedule (next_fire_at) where next_fire_at is not null;

CREATE INDEX tenant_disabled on tenant (tenant_id) where disabled_at is not null;

CREATE INDEX turn_by_creation on turn (tenant_id, created_at, turn_id);

CREATE INDEX turn_by_delivery on turn (tenant_id, delivered_to) where delivered_to is not null;

CREATE INDEX turn_by_place on turn (tenant_id, conversation_key, turn_seq);

CREATE INDEX turn_by_wait on turn (tenant_id, wait_kind, wait_id) where wait_id is not null;

CREATE INDEX wait_by_age on wait (created_at);

CREATE INDEX webhook_trigger_by_tenant on webhook_trigger (tenant_id, created_at);

CREATE TRIGGER artifact_comes after insert on artifact begin
      insert into tenant_usage (tenant_id, stored_bytes) values (new.tenant_id, new.size_bytes)
      on conflict (tenant_id) do update set stored_bytes = stored_bytes + excluded.stored_bytes;
    end;

CREATE TRIGGER artifact_goes after delete on artifact begin
      update tenant_usage set stored_bytes = stored_bytes - old.size_bytes where tenant_id = old.tenant_id;
    end;

CREATE TRIGGER artifact_room_comes after insert on artifact_room begin
      insert into tenant_usage (tenant_id, stored_bytes) values (new.tenant_id, new.size_bytes)
      on conflict (tenant_id) do update set stored_bytes = stored_bytes + excluded.stored_bytes;
    end;

CREATE TRIGGER artifact_room_goes after delete on artifact_room begin
      update tenant_usage set stored_bytes = stored_bytes - old.size_bytes where tenant_id = old.tenant_id;
    end;
