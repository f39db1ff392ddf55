import type { Lease, LeaseChange } from './lease';

/** A process of the deployment. */
export interface ClusterInstance {
  instance_id: string;
  app: string;
  /** The loops an edge hosts. */
  roles: string[];
  version: string;
  /** `stale`: it has missed heartbeats; it died, hangs, or cannot reach the database. Later it is gone from the list. */
  state: 'starting' | 'ready' | 'draining' | 'stale';
  started_at: string;
  last_seen_at: string;
  /** How it hears that there is something to look at. */
  backplane: { kind: string; healthy: boolean; problem?: string } | null;
}

/** Conversations with something to do, and the turns in them. */
export interface ClusterQueue {
  /** Of a tenant's own: the agent. */
  agent_key?: string;
  /** Of the deployment: the tenant. */
  tenant_id?: string;
  /** What it gets of the workers, where that was set. */
  weight: number;
  max_running: number | null;
  /** Due, and not taken yet. */
  ready: number;
  /** Due later. */
  later: number;
  running: number;
  queued_turns: number;
}

/** A lease that changed hands against its holder's will, within the last hour. */
export interface ClusterTakeover extends LeaseChange {
  kind: string;
  /** A conversation's key, of the tenant's own; of another tenant's only the tenant. */
  name: string;
}

export interface ClusterConnections {
  edge: string;
  clients: number;
  nodes: number;
}

/** What a tenant has to do with the cluster. */
export interface ClusterTenant {
  queues: ClusterQueue[];
  oldest_ready: { conversation_key: string; waiting_ms: number } | null;
  dead_letters: number;
  takeovers: ClusterTakeover[];
  connections: ClusterConnections[];
}

/** An edge's place in the outbox, and its connections. */
export interface ClusterEdge extends ClusterConnections {
  alive: boolean;
  /** Counted to 10,000. */
  rows_behind: number;
  behind_ms: number;
}

export interface ClusterDatabase {
  dialect: 'postgres' | 'sqlite';
  schema_revision: number;
  /** The newest that the answering edge knows. */
  known_revision: number;
  /** How long the oldest snapshot on the server has been open; dead rows that are younger stay. Null: there is none. */
  xmin_horizon_ms: number | null;
  xmin_horizon_xids: number | null;
  /** Postgres: the tables with the most dead rows. */
  tables: { name: string; live_rows: number; dead_rows: number; vacuumed_at: string | null }[];
}

/** A host that carries desktops. */
export interface ClusterDesktopHost {
  host_id: string;
  hostname: string;
  version: string;
  /** `lost`: no process acts for it. */
  status: 'online' | 'lost';
  last_seen_at: string;
}

/** What belongs to no tenant. */
export interface ClusterDeployment {
  instances: ClusterInstance[];
  /** Those of shards, seats and hosts. */
  leases: Lease[];
  edges: ClusterEdge[];
  desktop_hosts: ClusterDesktopHost[];
  queues: ClusterQueue[];
  oldest_ready: { tenant_id: string; waiting_ms: number } | null;
  dead_letters: number;
  takeovers: ClusterTakeover[];
  database: ClusterDatabase;
}

/** `GET /v1/cluster`. */
export interface Cluster {
  at: string;
  tenant: ClusterTenant;
  /** Null for admins of other tenants than the installation's first. */
  deployment: ClusterDeployment | null;
}
