import type { Capability, JsonObject, PeerRole, PresenceEntry, PresenceMode } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import {
  countConnections,
  dropConnections,
  dropGone,
  dropOthers,
  findConnections,
  findPresent,
  listConnections,
  putConnections,
} from './sql/peer-connections';

/** How a node remembers what it was asked to do: on disk, or in the one process that says so. */
export interface DispatchJournal {
  readonly kind: 'durable' | 'memory';
  /** The journal, or the process: another one remembers nothing of what the first was asked. */
  readonly instance: string;
}

/** An established connection, as all edges and workers may know it. */
export interface PeerConnection {
  readonly connectionId: string;
  readonly tenantId: string;
  readonly deviceId: string;
  readonly role: PeerRole;
  /** What the device said of itself in `connect.init`. */
  readonly device: { readonly label?: string; readonly version?: string; readonly mode?: PresenceMode };
  /** What it can do right now. */
  readonly capabilities: readonly Capability[];
  readonly journal?: DispatchJournal;
  /** The last `presence.beacon`. */
  readonly beacon?: Omit<Partial<PresenceEntry>, 'instance_id' | 'role' | 'last_seen_at'>;
}

/** A device of a tenant. */
export interface PeerDevice {
  readonly tenantId: string;
  readonly deviceId: string;
}

interface ConnectionRow {
  readonly connection_id: string;
  readonly tenant_id: string;
  readonly device_id: string;
  readonly role: PeerRole;
  readonly device: string;
  readonly capabilities: string;
  readonly beacon: string | null;
  readonly last_seen_at: number;
}

interface DeviceColumns {
  readonly tenant_id: string;
  readonly device_id: string;
}

/**
 * Who is connected to which edge, for all processes. A row counts as long as its edge is alive: the edge's own heartbeat
 * (`EdgeSlot`) is that of all its connections, so that 5,000 sockets cost no write of their own while nothing happens.
 */
export class PeerDirectory {
  constructor(private readonly store: StateStore) {}

  /** Writes connections of an edge down, or what has changed about them. */
  async put(edge: { readonly slot: string; readonly holder: string }, peers: readonly PeerConnection[]): Promise<void> {
    if (peers.length === 0) return;
    await this.store.execute(putConnections, [JSON.stringify(peers.map(toColumns)), edge.slot, edge.holder]);
  }

  async drop(connectionIds: readonly string[]): Promise<void> {
    if (connectionIds.length > 0) await this.store.execute(dropConnections, [JSON.stringify(connectionIds)]);
  }

  /** How many of an edge's connections are written down. */
  async count({ slot, holder }: { readonly slot: string; readonly holder: string }): Promise<number> {
    const [row] = await this.store.read((db) => db.query<{ count: number }>(countConnections, [slot, holder]));
    return Number(row?.count ?? 0);
  }

  /** Strikes out whatever an edge has no connection for. */
  async keepOnly(edge: { readonly slot: string; readonly holder: string }, ids: readonly string[]): Promise<void> {
    await this.store.execute(dropOthers, [edge.slot, edge.holder, JSON.stringify(ids)]);
  }

  /** Strikes out up to `limit` connections of edges that are gone; returns the devices of which the others had been told. */
  async dropGone(limit: number): Promise<PeerDevice[]> {
    const rows = await this.store.execute<DeviceColumns & { told: boolean | number }>(dropGone, [limit]);
    return rows.filter(({ told }) => Boolean(told)).map(toDevice);
  }

  /** Those of the devices that are connected nowhere. */
  async absent(devices: readonly PeerDevice[]): Promise<PeerDevice[]> {
    if (devices.length === 0) return [];
    const names = devices.map(({ tenantId, deviceId }) => ({ tenant_id: tenantId, device_id: deviceId }));
    const rows = await this.store.read((db) => db.query<DeviceColumns>(findPresent, [JSON.stringify(names)]));
    const present = new Set(rows.map((row) => deviceKey(toDevice(row))));
    return devices.filter((device) => !present.has(deviceKey(device)));
  }

  /** Who is there: one entry a device, by their ids; `after` is the last one of the page before. */
  async list(
    tenantId: string,
    { limit, after }: { readonly limit: number; readonly after?: string },
  ): Promise<PresenceEntry[]> {
    const params = [tenantId, after ?? null, limit];
    const rows = await this.store.read((db) => db.query<ConnectionRow>(listConnections, params));
    return rows.map(entryOf);
  }

  /** What those of these devices can do who are connected as nodes now, by device id. */
  async capabilitiesOf(tenantId: string, deviceIds: readonly string[]): Promise<Map<string, Capability[]>> {
    if (deviceIds.length === 0) return new Map();
    const params = [tenantId, JSON.stringify(deviceIds)];
    const rows = await this.store.read((db) => db.query<ConnectionRow>(findConnections, params));
    const nodes = rows.filter(({ role }) => role === 'node');
    return new Map(nodes.map((row) => [row.device_id, JSON.parse(row.capabilities) as Capability[]]));
  }
}

/** Whether others are told of a connection. A client's coming is not: 5,000 of them would tell 25,000,000 times. */
export function isTold(peer: PeerConnection): boolean {
  return peer.role === 'node' || peer.beacon !== undefined;
}

/** A device's name as one text. */
export function deviceKey({ tenantId, deviceId }: PeerDevice): string {
  return `${tenantId}/${deviceId}`;
}

/** What is shown of a connection that is there now. */
export function presenceOf(peer: PeerConnection, nowMs: number): PresenceEntry {
  const { label, version, mode } = peer.device;
  return {
    instance_id: peer.deviceId,
    role: peer.role,
    ...(label === undefined ? {} : { host: label }),
    ...(version === undefined ? {} : { version }),
    ...(mode === undefined ? {} : { mode }),
    reason: peer.role === 'node' ? 'node-connected' : 'connect',
    ...peer.beacon,
    last_seen_at: new Date(nowMs).toISOString(),
  };
}

function entryOf(row: ConnectionRow): PresenceEntry {
  const peer: PeerConnection = {
    connectionId: row.connection_id,
    tenantId: row.tenant_id,
    deviceId: row.device_id,
    role: row.role,
    device: JSON.parse(row.device) as PeerConnection['device'],
    capabilities: [],
    ...(row.beacon === null ? {} : { beacon: JSON.parse(row.beacon) as JsonObject }),
  };
  return presenceOf(peer, row.last_seen_at);
}

function toColumns(peer: PeerConnection): object {
  return {
    connection_id: peer.connectionId,
    tenant_id: peer.tenantId,
    device_id: peer.deviceId,
    role: peer.role,
    device: JSON.stringify(peer.device),
    capabilities: JSON.stringify(peer.capabilities),
    journal: peer.journal ? JSON.stringify(peer.journal) : null,
    beacon: peer.beacon ? JSON.stringify(peer.beacon) : null,
  };
}

function toDevice({ tenant_id, device_id }: DeviceColumns): PeerDevice {
  return { tenantId: tenant_id, deviceId: device_id };
}
