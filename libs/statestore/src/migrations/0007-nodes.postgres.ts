/**
 * Nodes and gates: who is connected where, which devices are trusted with what, what they were asked to do, what people
 * were asked and what they allowed; the audit chain; the processes of the installation. All of it is added.
 */
export const nodesPostgres: readonly string[] = [
  // One row a device and tenant, for good: a device that was turned away stays turned away until somebody decides again.
  `create table node_pairing (
    pairing_id bigint generated always as identity primary key,
    tenant_id uuid not null,
    node_id text not null,
    status text not null
      check (status in ('queued', 'reviewing', 'awaiting_human', 'approved', 'denied', 'revoked')),
    motivation text not null,
    trust_level text check (trust_level in ('local', 'remote')),
    label text,
    capabilities text not null,
    allowlist text not null,
    latest_review text,
    token_id uuid,
    token_used_at bigint,
    requested_at bigint not null,
    last_seen_at bigint not null,
    updated_at bigint not null,
    unique (tenant_id, node_id)
  )`,
  `create index node_pairing_by_status on node_pairing (tenant_id, status, pairing_id)`,
  // Alive as long as the edge slot is, under the same holder: the edge's heartbeat is that of all its connections.
  `create table peer_connection (
    connection_id uuid primary key,
    tenant_id uuid not null,
    device_id text not null,
    role text not null check (role in ('client', 'node')),
    slot text not null,
    holder text not null,
    device text not null,
    capabilities text not null,
    journal text,
    beacon text,
    connected_at bigint not null,
    last_seen_at bigint not null
  )`,
  `create index peer_connection_by_device on peer_connection (tenant_id, device_id)`,
  `create index peer_connection_by_edge on peer_connection (slot, holder)`,
  `create table dispatch (
    dispatch_id uuid primary key,
    tenant_id uuid not null,
    conversation_key text not null,
    turn_id uuid not null,
    step_index integer not null,
    action text not null,
    effect text not null check (effect in ('read', 'idempotent', 'once')),
    capabilities text not null,
    wanted_node text,
    state text not null check (state in ('waiting', 'sent', 'settled', 'cancelled')),
    node_id text,
    connection_id uuid,
    journal text,
    message_id uuid,
    sends integer not null default 0,
    outcome text,
    created_at bigint not null,
    deadline_at bigint not null,
    sent_at bigint,
    settled_at bigint,
    check ((state in ('settled', 'cancelled')) = (settled_at is not null))
  )`,
  `create index dispatch_open on dispatch (tenant_id, created_at) where state in ('waiting', 'sent')`,
  `create index dispatch_by_deadline on dispatch (deadline_at) where state in ('waiting', 'sent')`,
  `create index dispatch_by_message on dispatch (message_id) where message_id is not null`,
  `create index dispatch_settled on dispatch (settled_at) where settled_at is not null`,
  // binding_hash is what was shown: tool, canonical arguments, workspace, turn, step. consumed_at is its one use.
  `create table approval (
    approval_id uuid primary key,
    tenant_id uuid not null,
    approval_key text not null,
    kind text not null,
    status text not null
      check (status in ('queued', 'reviewing', 'awaiting_human', 'approved', 'denied', 'expired', 'cancelled')),
    prompt text not null,
    motivation text not null,
    context text,
    conversation_key text not null,
    turn_id uuid not null,
    step_index integer not null,
    binding_hash text not null,
    latest_review text,
    created_at bigint not null,
    expires_at bigint,
    decided_at bigint,
    consumed_at bigint,
    consumed_attempt integer,
    unique (tenant_id, approval_key)
  )`,
  `create index approval_by_creation on approval (tenant_id, created_at, approval_id)`,
  `create index approval_by_turn on approval (tenant_id, turn_id)`,
  `create table policy_override (
    policy_override_id uuid primary key,
    tenant_id uuid not null,
    tool_id text not null,
    pattern text not null,
    workspace_id text,
    status text not null check (status in ('active', 'revoked', 'expired')),
    created_by text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
  )`,
  `create index policy_override_by_tool on policy_override (tenant_id, tool_id)`,
  // The head is the row whose lock puts a tenant's entries in one line. Its signature lives outside of the database's reach.
  `create table audit_head (
    tenant_id uuid primary key,
    seq bigint not null,
    hash text not null
  )`,
  `create table audit_entry (
    tenant_id uuid not null,
    seq bigint not null,
    at bigint not null,
    kind text not null,
    actor text not null,
    subject text not null,
    detail text not null,
    previous_hash text not null,
    hash text not null,
    primary key (tenant_id, seq)
  )`,
  `create table process_instance (
    instance_id text primary key,
    app text not null,
    version text not null,
    hostname text not null,
    pid integer not null,
    roles text not null,
    started_at bigint not null,
    last_seen_at bigint not null,
    stopped_at bigint
  )`,
  `create index process_instance_by_age on process_instance (last_seen_at)`,
];
