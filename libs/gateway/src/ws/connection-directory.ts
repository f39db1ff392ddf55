import type { EventScope } from '@tyrum/outbox';
import type { Connection } from './connection';

interface TenantConnections {
  /** Clients that may see the tenant's events. */
  readonly readers: Set<Connection>;
  readonly byDevice: Map<string, Set<Connection>>;
  readonly byClientId: Map<string, Connection>;
}

const NOBODY: readonly Connection[] = [];

/** The established connections of this process, sorted by whom an event reaches. */
export class ConnectionDirectory {
  private readonly tenants = new Map<string, TenantConnections>();
  private readonly everybody = new Set<Connection>();
  /** Known, but not yet reached by events: they still catch up with what they missed. */
  private readonly catchingUp = new Set<Connection>();

  get size(): number {
    return this.everybody.size;
  }

  all(): Connection[] {
    return [...this.everybody];
  }

  /** Those that events reach as they come. */
  joined(): Connection[] {
    return this.all().filter((connection) => !this.catchingUp.has(connection));
  }

  /** The one connection of that id. */
  find(tenantId: string, connectionId: string): Connection | undefined {
    return this.tenants.get(tenantId)?.byClientId.get(connectionId);
  }

  /** Adds a connection. With `silent`, events reach it from `join` on. */
  add(connection: Connection, { silent = false } = {}): void {
    const { tenantId, deviceId, connectionId } = connection.peer;
    const tenant = this.tenants.get(tenantId) ?? { readers: new Set(), byDevice: new Map(), byClientId: new Map() };
    const siblings = tenant.byDevice.get(deviceId) ?? new Set();
    this.tenants.set(tenantId, tenant);
    tenant.byDevice.set(deviceId, siblings.add(connection));
    tenant.byClientId.set(connectionId, connection);
    this.everybody.add(connection);
    if (silent) this.catchingUp.add(connection);
    else this.join(connection);
  }

  /** From now on events reach it. */
  join(connection: Connection): void {
    this.catchingUp.delete(connection);
    if (!this.everybody.has(connection) || !connection.readsEvents || connection.peer.role !== 'client') return;
    this.tenants.get(connection.peer.tenantId)?.readers.add(connection);
  }

  remove(connection: Connection): void {
    const { tenantId, deviceId, connectionId } = connection.peer;
    this.everybody.delete(connection);
    this.catchingUp.delete(connection);
    const tenant = this.tenants.get(tenantId);
    if (!tenant) return;
    tenant.readers.delete(connection);
    tenant.byClientId.delete(connectionId);
    const siblings = tenant.byDevice.get(deviceId);
    siblings?.delete(connection);
    if (siblings?.size === 0) tenant.byDevice.delete(deviceId);
    if (tenant.byClientId.size === 0) this.tenants.delete(tenantId);
  }

  /**
   * Whom an event of that tenant and scope reaches: nodes hear of themselves only, a client's own events only that client,
   * which is named by its connection, or by its token where it had none.
   */
  audience(tenantId: string, scope: EventScope): Iterable<Connection> {
    const tenant = this.tenants.get(tenantId);
    if (!tenant) return NOBODY;
    if (scope.kind !== 'node' && scope.kind !== 'client') return tenant.readers;
    const candidates =
      scope.kind === 'node' ? (tenant.byDevice.get(scope.id ?? '') ?? NOBODY) : tenant.byClientId.values();
    return [...candidates].filter((c) => reaches(scope, c) && !this.catchingUp.has(c));
  }
}

/** The same rule for one connection, for events that are sent again. */
export function reaches(scope: EventScope, { peer, readsEvents }: Pick<Connection, 'peer' | 'readsEvents'>): boolean {
  if (scope.kind === 'node') return peer.role === 'node' && peer.deviceId === scope.id;
  if (scope.kind === 'client')
    return peer.role === 'client' && [peer.connectionId, peer.tokenId].includes(scope.id ?? '');
  return peer.role === 'client' && readsEvents;
}
