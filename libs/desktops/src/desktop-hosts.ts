import type { HeldLease, Leases } from '@tyrum/leases';
import type { StateStore } from '@tyrum/statestore';
import { DesktopHosts as HostRecords } from '@tyrum/statestore/records';
import { registerDesktopHost, touchDesktopHost } from './sql/keep-desktop-host';

export const DESKTOP_HOST_LEASE_KIND = 'desktop-host';

/** What a runtime says of itself. */
export interface HostDescription {
  /** A UUID, the same after every restart. */
  readonly hostId: string;
  /** The process. */
  readonly instanceId: string;
  readonly hostname: string;
  readonly version: string;
}

/** A host as operators see it. Times are ISO-8601. */
export interface DesktopHost {
  readonly host_id: string;
  readonly instance_id: string;
  readonly hostname: string;
  readonly version: string;
  /** `lost`: no process holds the host's lease, by the database's clock; it crashed, was cut off or has stopped. */
  readonly status: 'online' | 'lost';
  readonly registered_at: string;
  readonly last_seen_at: string;
}

/** The hosts that can carry desktops. They belong to the installation, not to a tenant. */
export class DesktopHosts {
  constructor(
    private readonly store: StateStore,
    private readonly leases: Leases,
  ) {}

  /** Makes the host known under the lease on it. False = the lease is lost, nothing was written. */
  register(host: HostDescription, lease: HeldLease): Promise<boolean> {
    return this.store.transaction(async (tx) => {
      if (!(await this.leases.isHeld(tx, lease))) return false;
      await tx.query(registerDesktopHost, [host.hostId, host.instanceId, host.hostname, host.version]);
      return true;
    });
  }

  /** Notes that the host is there. False = another process has registered it since. */
  async touch({ hostId, instanceId }: HostDescription): Promise<boolean> {
    return (await this.store.execute(touchDesktopHost, [hostId, instanceId])).length > 0;
  }

  /** Those known for longest first. */
  async list(): Promise<DesktopHost[]> {
    const records = await this.store.read((db) =>
      db.records(HostRecords).find({ order: { registered_at: 'ASC', host_id: 'ASC' } }),
    );
    const leases = await this.leases.list(DESKTOP_HOST_LEASE_KIND);
    const held = new Set(leases.filter((lease) => lease.held).map((lease) => lease.name));
    return records.map((record) => ({
      ...record,
      status: held.has(record.host_id) ? 'online' : 'lost',
      registered_at: new Date(record.registered_at).toISOString(),
      last_seen_at: new Date(record.last_seen_at).toISOString(),
    }));
  }
}
