import { EntitySchema } from 'typeorm';
import { flag, integer, json, key, nullableInteger, nullableJson, nullableText, text } from './columns';

/** A condition of a look-up. */
export { LessThan } from 'typeorm';

/** Column names are the table's own (snake_case), so that a record reads like the row in psql. Times: ms since epoch. */
export interface TenantRecord {
  tenant_id: string;
  slug: string;
  created_at: number;
  disabled_at: number | null;
  /** Long connections at all edges on one Redis, or else at each; null: as many as an edge takes. */
  max_connections: number | null;
  /** Requests in ten seconds; null: the installation's own limit. */
  max_requests: number | null;
  /** What its artifacts may take; null: the installation's own limit. */
  max_stored_bytes: number | null;
}

export interface AuthTokenRecord {
  tenant_id: string;
  token_id: string;
  /** SHA-256 of the secret, hex. The secret has 256 random bits, so a slow hash would protect nothing. */
  secret_hash: string;
  role: 'admin' | 'client' | 'node';
  scopes: string[];
  label: string | null;
  /** The only device that may use the token, or null for any. */
  device_id: string | null;
  /** `<issuer> <subject>` of who logged in elsewhere for it, or null for a token that was issued here. */
  subject: string | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

export interface ScheduleRecord {
  tenant_id: string;
  schedule_id: string;
  kind: 'heartbeat' | 'cron';
  cadence: Record<string, unknown>;
  execution: Record<string, unknown>;
  delivery: Record<string, unknown> | null;
  enabled: boolean;
  /** The next instant, or null while disabled. */
  next_fire_at: number | null;
  last_fired_at: number | null;
  created_at: number;
  updated_at: number;
}

export interface ArtifactRecord {
  tenant_id: string;
  artifact_id: string;
  turn_id: string | null;
  step_index: number | null;
  kind: string;
  media_class: string;
  filename: string;
  mime_type: string | null;
  size_bytes: number;
  /** Hex. The bytes lie in the blob store under it. */
  sha256: string;
  labels: string[];
  created_at: number;
  /** The token that uploaded it; null for what a step left. Until it belongs to a turn, it is this token's alone. */
  uploaded_by: string | null;
}

/** A definition that webhooks fire. */
export interface WebhookTriggerRecord {
  tenant_id: string;
  trigger_id: string;
  label: string;
  /** Grows when the secret is renewed. */
  generation: number;
  execution: Record<string, unknown>;
  enabled: boolean;
  created_at: number;
  updated_at: number;
}

export interface DesktopHostRecord {
  host_id: string;
  instance_id: string;
  hostname: string;
  version: string;
  registered_at: number;
  last_seen_at: number;
}

export const Tenants = new EntitySchema<TenantRecord>({
  name: 'tenant',
  columns: {
    tenant_id: key,
    slug: text,
    created_at: integer,
    disabled_at: nullableInteger,
    max_connections: nullableInteger,
    max_requests: nullableInteger,
    max_stored_bytes: nullableInteger,
  },
});

export const AuthTokens = new EntitySchema<AuthTokenRecord>({
  name: 'auth_token',
  columns: {
    tenant_id: text,
    token_id: key,
    secret_hash: text,
    role: text,
    scopes: json,
    label: nullableText,
    device_id: nullableText,
    subject: nullableText,
    created_at: integer,
    expires_at: nullableInteger,
    revoked_at: nullableInteger,
  },
});

export const Schedules = new EntitySchema<ScheduleRecord>({
  name: 'schedule',
  columns: {
    tenant_id: key,
    schedule_id: key,
    kind: text,
    cadence: json,
    execution: json,
    delivery: nullableJson,
    enabled: flag,
    next_fire_at: nullableInteger,
    last_fired_at: nullableInteger,
    created_at: integer,
    updated_at: integer,
  },
});

export const Artifacts = new EntitySchema<ArtifactRecord>({
  name: 'artifact',
  columns: {
    tenant_id: key,
    artifact_id: key,
    turn_id: nullableText,
    step_index: nullableInteger,
    kind: text,
    media_class: text,
    filename: text,
    mime_type: nullableText,
    size_bytes: integer,
    sha256: text,
    labels: json,
    created_at: integer,
    uploaded_by: nullableText,
  },
});

export const WebhookTriggers = new EntitySchema<WebhookTriggerRecord>({
  name: 'webhook_trigger',
  columns: {
    tenant_id: text,
    trigger_id: key,
    label: text,
    generation: integer,
    execution: json,
    enabled: flag,
    created_at: integer,
    updated_at: integer,
  },
});

export const DesktopHosts = new EntitySchema<DesktopHostRecord>({
  name: 'desktop_host',
  columns: {
    host_id: key,
    instance_id: text,
    hostname: text,
    version: text,
    registered_at: integer,
    last_seen_at: integer,
  },
});

/** Everything TypeORM maps. The hot tables are not here: they are written only by the statements in `sql/`. */
export const RECORDS = [Tenants, AuthTokens, Schedules, Artifacts, DesktopHosts, WebhookTriggers];
