create table approval (
  approval_id uuid not null,
  tenant_id uuid not null,
  approval_key text not null,
  kind text not null,
  status text not null,
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
  constraint approval_pkey PRIMARY KEY (approval_id),
  constraint approval_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'reviewing'::text, 'awaiting_human'::text, 'approved'::text, 'denied'::text, 'expired'::text, 'cancelled'::text]))),
  constraint approval_tenant_id_approval_key_key UNIQUE (tenant_id, approval_key)
);

create table artifact (
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
  uploaded_by uuid,
  constraint artifact_pkey PRIMARY KEY (tenant_id, artifact_id)
);

create table artifact_room (
  tenant_id uuid not null,
  artifact_id uuid not null,
  size_bytes bigint not null,
  expires_at bigint not null,
  constraint artifact_room_pkey PRIMARY KEY (tenant_id, artifact_id)
);

create table audit_entry (
  tenant_id uuid not null,
  seq bigint not null,
  at bigint not null,
  type text not null,
  actor text not null,
  subject text,
  detail text not null,
  hash text not null,
  constraint audit_entry_pkey PRIMARY KEY (tenant_id, seq),
  constraint audit_entry_seq_check CHECK ((seq > 0))
);

create table audit_head (
  tenant_id uuid not null,
  seq bigint not null,
  hash text not null,
  sealed_seq bigint not null default 0,
  sealed text,
  checkpoint_seq bigint not null default 0,
  checkpoint text,
  constraint audit_head_pkey PRIMARY KEY (tenant_id)
);

create table audit_pending (
  tenant_id uuid not null,
  pending_id bigint not null generated always as identity,
  notes text not null,
  noted_at bigint not null,
  constraint audit_pending_pkey PRIMARY KEY (tenant_id, pending_id)
);

create table auth_token (
  tenant_id uuid not null,
  token_id uuid not null,
  secret_hash text not null,
  role text not null,
  scopes text not null,
  label text,
  device_id text,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint,
  subject text,
  constraint auth_token_pkey PRIMARY KEY (token_id),
  constraint auth_token_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'client'::text, 'node'::text]))),
  constraint auth_token_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id)
);

create table claim_share (
  tenant_id uuid not null,
  agent_key text not null default ''::text,
  weight integer not null default 1,
  max_running integer,
  constraint claim_share_max_running_check CHECK ((max_running > 0)),
  constraint claim_share_pkey PRIMARY KEY (tenant_id, agent_key),
  constraint claim_share_weight_check CHECK (((weight >= 1) AND (weight <= 100)))
);

create table conversation (
  tenant_id uuid not null,
  conversation_key text not null,
  agent_key text not null,
  channel text not null,
  account_key text,
  container_kind text,
  thread_id text not null,
  title text not null,
  queue_mode text not null default 'followup'::text,
  created_at bigint not null,
  updated_at bigint not null,
  archived_at bigint,
  constraint conversation_pkey PRIMARY KEY (tenant_id, conversation_key),
  constraint conversation_queue_mode_check CHECK ((queue_mode = ANY (ARRAY['collect'::text, 'followup'::text, 'steer'::text, 'steer_backlog'::text, 'interrupt'::text])))
);

create table conversation_queue (
  tenant_id uuid not null,
  conversation_key text not null,
  state text not null,
  due_at bigint,
  pending integer not null default 0,
  last_turn_seq bigint not null default 0,
  last_message_seq bigint not null default 0,
  last_event_seq bigint not null default 0,
  lease_owner text,
  lease_token bigint not null default 0,
  agent_key text default split_part(conversation_key, ':'::text, 2),
  priority integer not null default 0,
  rank_at bigint default (due_at - (priority * 30000)),
  takeovers integer not null default 0,
  queue_mode text not null default 'followup'::text,
  queue_cap integer,
  queue_overflow text not null default 'reject'::text,
  leased_at bigint,
  open_from bigint not null default 0,
  constraint conversation_queue_check CHECK (((state = ANY (ARRAY['ready'::text, 'leased'::text])) = (due_at IS NOT NULL))),
  constraint conversation_queue_check1 CHECK (((state = 'leased'::text) = (lease_owner IS NOT NULL))),
  constraint conversation_queue_pending_check CHECK ((pending >= 0)),
  constraint conversation_queue_pkey PRIMARY KEY (tenant_id, conversation_key),
  constraint conversation_queue_priority_check CHECK (((priority >= '-10'::integer) AND (priority <= 10))),
  constraint conversation_queue_queue_cap_check CHECK ((queue_cap > 0)),
  constraint conversation_queue_queue_mode_check CHECK ((queue_mode = ANY (ARRAY['collect'::text, 'followup'::text, 'steer'::text, 'steer_backlog'::text, 'interrupt'::text]))),
  constraint conversation_queue_queue_overflow_check CHECK ((queue_overflow = ANY (ARRAY['reject'::text, 'drop_oldest'::text]))),
  constraint conversation_queue_state_check CHECK ((state = ANY (ARRAY['idle'::text, 'ready'::text, 'leased'::text, 'parked'::text])))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=1000);

create table dead_letter (
  tenant_id uuid not null,
  turn_id uuid not null,
  conversation_key text not null,
  attempts integer not null,
  cause text not null,
  died_at bigint not null,
  redriven_as uuid,
  constraint dead_letter_pkey PRIMARY KEY (tenant_id, turn_id)
);

create table desktop_environment (
  tenant_id uuid not null,
  environment_id uuid not null,
  label text,
  host_id text,
  width integer not null,
  height integer not null,
  desired text not null,
  status text not null,
  node_id text,
  error text,
  generation integer not null,
  placement integer not null,
  created_at bigint not null,
  updated_at bigint not null,
  constraint desktop_environment_desired_check CHECK ((desired = ANY (ARRAY['running'::text, 'stopped'::text, 'absent'::text]))),
  constraint desktop_environment_generation_check CHECK ((generation > 0)),
  constraint desktop_environment_pkey PRIMARY KEY (tenant_id, environment_id),
  constraint desktop_environment_placement_check CHECK ((placement > 0)),
  constraint desktop_environment_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'starting'::text, 'running'::text, 'stopped'::text, 'failed'::text]))),
  constraint desktop_environment_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id)
);

create table desktop_host (
  host_id text not null,
  instance_id text not null,
  hostname text not null,
  version text not null,
  registered_at bigint not null,
  last_seen_at bigint not null,
  constraint desktop_host_pkey PRIMARY KEY (host_id)
);

create table directed_message (
  id bigint not null generated always as identity,
  message_id uuid not null,
  tenant_id uuid not null,
  slot text not null,
  connection_id text not null,
  origin text not null,
  payload text not null,
  state text not null,
  reason text,
  created_at bigint not null,
  deliver_by bigint not null,
  settled_at bigint,
  constraint directed_message_check CHECK (((state = 'queued'::text) = (settled_at IS NULL))),
  constraint directed_message_check1 CHECK (((state = 'returned'::text) = (reason IS NOT NULL))),
  constraint directed_message_message_id_key UNIQUE (message_id),
  constraint directed_message_pkey PRIMARY KEY (id),
  constraint directed_message_reason_check CHECK ((reason = ANY (ARRAY['not_connected'::text, 'edge_gone'::text, 'too_late'::text]))),
  constraint directed_message_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'delivered'::text, 'returned'::text])))
);

create table dispatch (
  dispatch_id uuid not null,
  tenant_id uuid not null,
  conversation_key text not null,
  turn_id uuid not null,
  step_index integer not null,
  action text not null,
  effect text not null,
  capabilities text not null,
  wanted_node text,
  state text not null,
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
  constraint dispatch_check CHECK (((state = ANY (ARRAY['settled'::text, 'cancelled'::text])) = (settled_at IS NOT NULL))),
  constraint dispatch_effect_check CHECK ((effect = ANY (ARRAY['read'::text, 'idempotent'::text, 'once'::text]))),
  constraint dispatch_pkey PRIMARY KEY (dispatch_id),
  constraint dispatch_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'settled'::text, 'cancelled'::text])))
);

create table edge_slot (
  slot text not null,
  holder text not null,
  expires_at bigint not null,
  epoch text not null,
  xid xid8 not null,
  id bigint not null,
  constraint edge_slot_pkey PRIMARY KEY (slot)
) with (fillfactor=50);

create table firing (
  tenant_id uuid not null,
  schedule_id uuid not null,
  instant bigint not null,
  turn_id uuid not null,
  fired_at bigint not null,
  constraint firing_pkey PRIMARY KEY (tenant_id, schedule_id, instant)
);

create table idempotency_record (
  tenant_id uuid not null,
  route text not null,
  principal text not null,
  key text not null,
  fingerprint text not null,
  status text not null,
  owner text,
  response text,
  created_at bigint not null,
  expires_at bigint not null,
  constraint idempotency_record_pkey PRIMARY KEY (tenant_id, route, principal, key),
  constraint idempotency_record_status_check CHECK ((status = ANY (ARRAY['in_flight'::text, 'completed'::text])))
);

create table instance (
  instance_id text not null,
  app text not null,
  roles text not null,
  version text not null,
  state text not null,
  report text not null,
  beat_ms integer not null,
  started_at bigint not null,
  last_seen_at bigint not null,
  constraint instance_pkey PRIMARY KEY (instance_id),
  constraint instance_state_check CHECK ((state = ANY (ARRAY['starting'::text, 'ready'::text, 'draining'::text])))
) with (fillfactor=50);

create table lease (
  kind text not null,
  name text not null,
  owner text,
  token bigint not null,
  expires_at bigint not null,
  acquired_at bigint not null,
  constraint lease_pkey PRIMARY KEY (kind, name)
);

create table lease_floor (
  tenant_id uuid not null,
  token bigint not null,
  constraint lease_floor_pkey PRIMARY KEY (tenant_id)
);

create table lease_history (
  id bigint not null generated always as identity,
  kind text not null,
  name text not null,
  token bigint not null,
  owner text not null,
  taken_from text,
  reason text not null,
  at bigint not null,
  constraint lease_history_pkey PRIMARY KEY (id),
  constraint lease_history_reason_check CHECK ((reason = ANY (ARRAY['acquired'::text, 'taken_over'::text, 'released'::text, 'lost'::text])))
);

create table message (
  tenant_id uuid not null,
  conversation_key text not null,
  message_seq bigint not null,
  message_id text not null,
  turn_id uuid,
  role text not null,
  parts text not null,
  metadata text,
  created_at bigint not null,
  constraint message_pkey PRIMARY KEY (tenant_id, conversation_key, message_seq),
  constraint message_role_check CHECK ((role = ANY (ARRAY['system'::text, 'user'::text, 'assistant'::text, 'tool'::text])))
);

create table migrations (
  id integer not null default nextval('migrations_id_seq'::regclass),
  "timestamp" bigint not null,
  name character varying not null,
  constraint "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY (id)
);

create table node_pairing (
  pairing_id bigint not null generated always as identity,
  tenant_id uuid not null,
  node_id text not null,
  status text not null,
  motivation text not null,
  trust_level text,
  label text,
  capabilities text not null,
  allowlist text not null,
  latest_review text,
  token_id uuid,
  token_used_at bigint,
  requested_at bigint not null,
  last_seen_at bigint not null,
  updated_at bigint not null,
  constraint node_pairing_pkey PRIMARY KEY (pairing_id),
  constraint node_pairing_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'reviewing'::text, 'awaiting_human'::text, 'approved'::text, 'denied'::text, 'revoked'::text]))),
  constraint node_pairing_tenant_id_node_id_key UNIQUE (tenant_id, node_id),
  constraint node_pairing_trust_level_check CHECK ((trust_level = ANY (ARRAY['local'::text, 'remote'::text])))
);

create table outbox (
  id bigint not null generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  tenant_id uuid not null,
  event_id uuid,
  type text,
  scope_kind text,
  scope_id text,
  conversation_key text,
  conversation_seq bigint,
  turn_id uuid,
  payload text not null default ''::text,
  occurred_at bigint not null,
  events text,
  constraint outbox_pkey PRIMARY KEY (xid, id),
  constraint outbox_scope_kind_check CHECK ((scope_kind = ANY (ARRAY['global'::text, 'agent'::text, 'conversation'::text, 'turn'::text, 'node'::text, 'client'::text])))
) with (toast_tuple_target=8160);

create table outbox_cursor (
  consumer text not null,
  xid xid8 not null,
  id bigint not null,
  updated_at bigint not null,
  constraint outbox_cursor_pkey PRIMARY KEY (consumer)
);

create table outbox_epoch (
  only_row boolean not null default true,
  epoch text not null,
  constraint outbox_epoch_only_row_check CHECK (only_row),
  constraint outbox_epoch_pkey PRIMARY KEY (only_row)
);

create table peer_connection (
  connection_id uuid not null,
  tenant_id uuid not null,
  device_id text not null,
  role text not null,
  slot text not null,
  holder text not null,
  device text not null,
  capabilities text not null,
  journal text,
  beacon text,
  connected_at bigint not null,
  last_seen_at bigint not null,
  constraint peer_connection_pkey PRIMARY KEY (connection_id),
  constraint peer_connection_role_check CHECK ((role = ANY (ARRAY['client'::text, 'node'::text])))
);

create table policy_override (
  policy_override_id uuid not null,
  tenant_id uuid not null,
  tool_id text not null,
  pattern text not null,
  workspace_id text,
  status text not null,
  created_by text not null,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint,
  constraint policy_override_pkey PRIMARY KEY (policy_override_id),
  constraint policy_override_status_check CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))
);

create table schedule (
  tenant_id uuid not null,
  schedule_id uuid not null,
  kind text not null,
  cadence text not null,
  execution text not null,
  delivery text,
  enabled boolean not null,
  next_fire_at bigint,
  last_fired_at bigint,
  created_at bigint not null,
  updated_at bigint not null,
  constraint schedule_kind_check CHECK ((kind = ANY (ARRAY['heartbeat'::text, 'cron'::text]))),
  constraint schedule_pkey PRIMARY KEY (tenant_id, schedule_id),
  constraint schedule_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id)
);

create table schema_revision (
  revision integer,
  min_binary_revision integer
);

create table secret (
  tenant_id uuid not null,
  key text not null,
  description text,
  hosts text,
  version integer not null,
  key_id text not null,
  wrapped_key text not null,
  ciphertext text not null,
  created_at bigint not null,
  updated_at bigint not null,
  constraint secret_pkey PRIMARY KEY (tenant_id, key),
  constraint secret_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id),
  constraint secret_version_check CHECK ((version > 0))
);

create table server_timeline (
  only_row boolean not null default true,
  identity text not null,
  earlier bigint not null default 0,
  highest bigint not null,
  seen_at bigint not null,
  constraint server_timeline_only_row_check CHECK (only_row),
  constraint server_timeline_pkey PRIMARY KEY (only_row)
);

create table step (
  tenant_id uuid not null,
  turn_id uuid not null,
  step_index integer not null,
  action text not null,
  effect text not null,
  status text not null,
  attempts integer not null,
  result text,
  error text,
  started_at bigint not null,
  finished_at bigint,
  constraint step_effect_check CHECK ((effect = ANY (ARRAY['read'::text, 'idempotent'::text, 'once'::text]))),
  constraint step_pkey PRIMARY KEY (tenant_id, turn_id, step_index),
  constraint step_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'paused'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
) with (fillfactor=50);

create table tenant (
  tenant_id uuid not null,
  slug text not null,
  created_at bigint not null,
  disabled_at bigint,
  max_connections integer,
  max_requests integer,
  max_stored_bytes bigint,
  constraint tenant_max_connections_check CHECK ((max_connections > 0)),
  constraint tenant_max_requests_check CHECK ((max_requests > 0)),
  constraint tenant_max_stored_bytes_check CHECK ((max_stored_bytes > 0)),
  constraint tenant_pkey PRIMARY KEY (tenant_id),
  constraint tenant_slug_key UNIQUE (slug)
);

create table tenant_usage (
  tenant_id uuid not null,
  stored_bytes bigint not null,
  constraint tenant_usage_pkey PRIMARY KEY (tenant_id)
) with (fillfactor=50);

create table turn (
  tenant_id uuid not null,
  turn_id uuid not null,
  conversation_key text not null,
  turn_seq bigint not null,
  kind text not null,
  trigger_kind text not null,
  status text not null,
  attempt integer not null default 1,
  input text not null,
  budgets text,
  wait_kind text,
  wait_id text,
  wait_until bigint,
  blocked_reason text,
  blocked_detail text,
  cancel_requested_at bigint,
  cancel_reason text,
  error text,
  created_at bigint not null,
  started_at bigint,
  finished_at bigint,
  origin_turn_id uuid,
  delivered_to uuid,
  delivered_step integer,
  parent_turn_id uuid,
  parent_conversation_key text,
  constraint turn_blocked_reason_check CHECK ((blocked_reason = ANY (ARRAY['approval'::text, 'takeover'::text, 'budget'::text, 'manual'::text, 'policy'::text]))),
  constraint turn_kind_check CHECK ((kind = ANY (ARRAY['workflow'::text, 'chat'::text]))),
  constraint turn_pkey PRIMARY KEY (turn_id, tenant_id),
  constraint turn_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'paused'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
  constraint turn_wait_kind_check CHECK ((wait_kind = ANY (ARRAY['timer'::text, 'manual'::text, 'approval'::text, 'node'::text, 'turn'::text, 'signal'::text])))
) with (fillfactor=50);

create table wait (
  tenant_id uuid not null,
  kind text not null,
  wait_id text not null,
  turn_id uuid,
  conversation_key text,
  arrived_at bigint,
  outcome text,
  created_at bigint not null,
  constraint wait_check CHECK (((arrived_at IS NULL) = (outcome IS NULL))),
  constraint wait_kind_check CHECK ((kind = ANY (ARRAY['approval'::text, 'node'::text, 'turn'::text, 'signal'::text]))),
  constraint wait_pkey PRIMARY KEY (tenant_id, kind, wait_id)
);

create table webhook_trigger (
  tenant_id uuid not null,
  trigger_id uuid not null,
  label text not null,
  generation integer not null default 1,
  execution text not null,
  enabled boolean not null default true,
  created_at bigint not null,
  updated_at bigint not null,
  constraint webhook_trigger_generation_check CHECK ((generation > 0)),
  constraint webhook_trigger_pkey PRIMARY KEY (trigger_id),
  constraint webhook_trigger_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenant(tenant_id)
);

CREATE INDEX approval_by_creation ON approval USING btree (tenant_id, created_at, approval_id);

CREATE INDEX approval_by_turn ON approval USING btree (tenant_id, turn_id);

CREATE INDEX approval_decided ON approval USING btree (decided_at) WHERE (decided_at IS NOT NULL);

CREATE INDEX artifact_by_age ON artifact USING btree (created_at);

CREATE INDEX artifact_by_hash ON artifact USING btree (tenant_id, sha256);

CREATE INDEX artifact_by_turn ON artifact USING btree (tenant_id, turn_id);

CREATE INDEX artifact_room_by_expiry ON artifact_room USING btree (expires_at);

CREATE INDEX audit_entry_by_actor ON audit_entry USING btree (tenant_id, actor, seq);

CREATE INDEX audit_entry_by_subject ON audit_entry USING btree (tenant_id, subject, seq);

CREATE INDEX audit_entry_by_type ON audit_entry USING btree (tenant_id, type, seq);

CREATE INDEX auth_token_by_subject ON auth_token USING btree (subject) WHERE (subject IS NOT NULL);

CREATE INDEX auth_token_by_tenant ON auth_token USING btree (tenant_id, created_at);

CREATE INDEX conversation_by_update ON conversation USING btree (tenant_id, updated_at, conversation_key) WHERE (updated_at > 0);

CREATE INDEX conversation_queue_lane ON conversation_queue USING btree (tenant_id, agent_key, rank_at) WHERE (state = 'ready'::text);

CREATE INDEX conversation_queue_leased ON conversation_queue USING btree (due_at) WHERE (state = 'leased'::text);

CREATE INDEX conversation_queue_ready ON conversation_queue USING btree (due_at) WHERE (state = 'ready'::text);

CREATE INDEX dead_letter_by_age ON dead_letter USING btree (tenant_id, died_at, turn_id);

CREATE INDEX desktop_environment_by_host ON desktop_environment USING btree (host_id, created_at);

CREATE INDEX directed_message_queued ON directed_message USING btree (slot, id) WHERE (state = 'queued'::text);

CREATE INDEX directed_message_returned ON directed_message USING btree (origin, id) WHERE (state = 'returned'::text);

CREATE INDEX directed_message_settled ON directed_message USING btree (settled_at) WHERE (settled_at IS NOT NULL);

CREATE INDEX dispatch_by_deadline ON dispatch USING btree (deadline_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sent'::text]));

CREATE INDEX dispatch_by_message ON dispatch USING btree (message_id) WHERE (message_id IS NOT NULL);

CREATE INDEX dispatch_open ON dispatch USING btree (tenant_id, created_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sent'::text]));

CREATE INDEX dispatch_settled ON dispatch USING btree (settled_at) WHERE (settled_at IS NOT NULL);

CREATE INDEX firing_by_age ON firing USING btree (fired_at);

CREATE INDEX idempotency_record_by_expiry ON idempotency_record USING btree (expires_at);

CREATE INDEX lease_history_by_age ON lease_history USING btree (at);

CREATE INDEX lease_history_by_name ON lease_history USING btree (kind, name, id);

CREATE INDEX message_by_age ON message USING btree (created_at);

CREATE UNIQUE INDEX message_by_id ON message USING btree (tenant_id, conversation_key, message_id);

CREATE INDEX node_pairing_by_status ON node_pairing USING btree (tenant_id, status, pairing_id);

CREATE INDEX peer_connection_by_device ON peer_connection USING btree (tenant_id, device_id);

CREATE INDEX peer_connection_by_edge ON peer_connection USING btree (slot, holder);

CREATE INDEX policy_override_by_tool ON policy_override USING btree (tenant_id, tool_id);

CREATE INDEX schedule_due ON schedule USING btree (next_fire_at) WHERE (next_fire_at IS NOT NULL);

CREATE INDEX tenant_disabled ON tenant USING btree (tenant_id) WHERE (disabled_at IS NOT NULL);

CREATE INDEX turn_by_creation ON turn USING btree (tenant_id, created_at, turn_id) WHERE (created_at > 0);

CREATE INDEX turn_by_delivery ON turn USING btree (tenant_id, delivered_to) WHERE (delivered_to IS NOT NULL);

CREATE INDEX turn_by_place ON turn USING btree (tenant_id, conversation_key, turn_seq) WHERE (turn_seq > 0);

CREATE INDEX turn_by_wait ON turn USING btree (tenant_id, wait_kind, wait_id) WHERE (wait_id IS NOT NULL);

CREATE INDEX wait_by_age ON wait USING btree (created_at);

CREATE INDEX webhook_trigger_by_tenant ON webhook_trigger USING btree (tenant_id, created_at);

CREATE OR REPLACE FUNCTION public.count_stored_bytes()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    insert into tenant_usage as u (tenant_id, stored_bytes)
      select tenant_id, case tg_op when 'INSERT' then sum(size_bytes) else -sum(size_bytes) end
      from changed group by tenant_id order by tenant_id
    on conflict (tenant_id) do update set stored_bytes = u.stored_bytes + excluded.stored_bytes;
    return null;
  end $function$;

CREATE OR REPLACE FUNCTION public.current_timeline()
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$
    select case when pg_is_in_recovery() then 0 else (select earlier from server_timeline) + own_timeline() end $function$;

CREATE OR REPLACE FUNCTION public.own_timeline()
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$ select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint $function$;

CREATE OR REPLACE FUNCTION public.refuse_timeline_below(lowest bigint)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
AS $function$ begin
    if current_timeline() < lowest then
      raise exception 'the server is on timeline %, and % has been seen', current_timeline(), lowest using errcode = 'TY001';
    end if;
  end $function$;

CREATE OR REPLACE FUNCTION public.running_conversations(of_tenant uuid, of_agent text)
 RETURNS bigint
 LANGUAGE sql
AS $function$
    select count(*) from conversation_queue
    where state = 'leased' and tenant_id = of_tenant and (of_agent = '' or agent_key = of_agent) $function$;

CREATE OR REPLACE FUNCTION public.server_identity()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$select system_identifier::text from pg_control_system()$function$;

CREATE TRIGGER artifact_comes AFTER INSERT ON public.artifact REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes();

CREATE TRIGGER artifact_goes AFTER DELETE ON public.artifact REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes();

CREATE TRIGGER artifact_room_comes AFTER INSERT ON public.artifact_room REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes();

CREATE TRIGGER artifact_room_goes AFTER DELETE ON public.artifact_room REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_stored_bytes();
