import type { DesktopHosts } from '@tyrum/desktops';
import { readInstances, readTakeovers, type InstanceRow, type TakeoverRow } from '@tyrum/leases';
import { countConnections, type EdgeConnections } from '@tyrum/nodes';
import { readEdgeLags, type EdgeLag } from '@tyrum/outbox';
import type {
  ClusterConnections,
  ClusterDatabase,
  ClusterDeployment,
  ClusterEdge,
  ClusterInstance,
  ClusterTakeover,
  ClusterTenant,
} from '@tyrum/protocol';
import { describeToken, readDatabaseHealth, type DatabaseHealth, type StateStore } from '@tyrum/statestore';
import { readAllQueues, readTenantQueues, type QueueDepth } from '@tyrum/statestore/turns';
import type { LeaseDirectory } from './lease-directory';

/** Takeovers of the last hour, as many as somebody reads. */
const RECENT = { sinceMs: 60 * 60_000, limit: 20 };
const MAX_LEASES = 500;
const UUID_LENGTH = 36;

/** Puts together how a deployment is. Everything is read when it is asked for; nothing is kept. */
export class ClusterView {
  constructor(
    private readonly store: StateStore,
    private readonly leases: LeaseDirectory,
    private readonly hosts: DesktopHosts,
  ) {}

  async ofTenant(tenantId: string): Promise<ClusterTenant> {
    return this.store.read(async (db) => {
      const { queues, oldest, deadLetters } = await readTenantQueues(db, tenantId);
      const takeovers = await readTakeovers(db, { ...RECENT, tenantId });
      const { conversation_key, waiting_ms } = oldest ?? {};
      return {
        queues: queues.map((queue) => ({ agent_key: queue.agent_key, ...depthOf(queue) })),
        oldest_ready: conversation_key === undefined ? null : { conversation_key, waiting_ms: waiting_ms ?? 0 },
        dead_letters: deadLetters,
        takeovers: takeovers.map((row) => takeoverView(row, (name) => name.slice(UUID_LENGTH + 1))),
        connections: connectionsByEdge(await countConnections(db, tenantId)),
      };
    });
  }

  async deployment(): Promise<ClusterDeployment> {
    const leases = await this.leases.ofDeployment(undefined, { limit: MAX_LEASES });
    const hosts = await this.hosts.list();
    return this.store.read(async (db) => {
      const { queues, oldest, deadLetters } = await readAllQueues(db);
      const takeovers = await readTakeovers(db, RECENT);
      return {
        instances: (await readInstances(db)).map(instanceView),
        leases,
        edges: edgesOf(await readEdgeLags(db), await countConnections(db, null)),
        desktop_hosts: hosts.map(({ host_id, hostname, version, status, last_seen_at }) => {
          return { host_id, hostname, version, status, last_seen_at };
        }),
        queues: queues.map((queue) => ({ tenant_id: queue.tenant_id, ...depthOf(queue) })),
        oldest_ready: oldest ? { tenant_id: oldest.tenant_id, waiting_ms: oldest.waiting_ms } : null,
        dead_letters: deadLetters,
        // The keys of conversations are their tenants' business.
        takeovers: takeovers.map((row) => takeoverView(row, (name) => name.slice(0, UUID_LENGTH))),
        database: databaseView(await readDatabaseHealth(db)),
      };
    });
  }
}

function depthOf({ weight, max_running, ready, later, running, queued_turns }: QueueDepth): QueueDepth {
  return { weight, max_running, ready, later, running, queued_turns };
}

function instanceView(row: InstanceRow): ClusterInstance {
  const backplane = row.report['backplane'] as ClusterInstance['backplane'] | undefined;
  return {
    instance_id: row.instance_id,
    app: row.app,
    roles: [...row.roles],
    version: row.version,
    state: row.stale ? 'stale' : row.state,
    started_at: time(row.started_at),
    last_seen_at: time(row.last_seen_at),
    backplane: backplane ?? null,
  };
}

function takeoverView(row: TakeoverRow, nameOf: (name: string) => string): ClusterTakeover {
  const { kind, name, token, owner, taken_from, reason, at } = row;
  const shown = kind === 'conversation' ? nameOf(name) : name;
  return { kind, name: shown, at: time(at), reason, owner, token: describeToken(token), taken_from };
}

function connectionsByEdge(rows: readonly EdgeConnections[]): ClusterConnections[] {
  const byEdge = new Map<string, ClusterConnections>();
  for (const { slot: edge, role, connections } of rows) {
    const known = byEdge.get(edge) ?? { edge, clients: 0, nodes: 0 };
    byEdge.set(edge, { ...known, [role === 'node' ? 'nodes' : 'clients']: connections });
  }
  return [...byEdge.values()];
}

function edgesOf(lags: readonly EdgeLag[], connections: readonly EdgeConnections[]): ClusterEdge[] {
  const counted = new Map(connectionsByEdge(connections).map((edge) => [edge.edge, edge]));
  return lags.map(({ slot, ...lag }) => ({ ...(counted.get(slot) ?? { edge: slot, clients: 0, nodes: 0 }), ...lag }));
}

function databaseView(health: DatabaseHealth): ClusterDatabase {
  return {
    dialect: health.dialect,
    schema_revision: health.revision,
    known_revision: health.knownRevision,
    xmin_horizon_ms: health.horizonMs,
    xmin_horizon_xids: health.horizonXids,
    tables: health.tables.map(({ name, live_rows, dead_rows, vacuumed_at }) => {
      return { name, live_rows, dead_rows, vacuumed_at: vacuumed_at === null ? null : time(vacuumed_at) };
    }),
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
