import { randomUUID } from 'node:crypto';
import { noteAudit, storedBytesByTenant } from '@tyrum/evidence';
import { DEFAULT_TENANT_ID, WireError } from '@tyrum/protocol';
import { isUniqueViolation, type Reader, type StateStore, type Tx } from '@tyrum/statestore';
import { Tenants as TenantRecords, type TenantRecord } from '@tyrum/statestore/records';

/** Tenants of one installation at the most: a list of them is not paged. */
export const MAX_TENANTS = 1_000;

/** Who runs the installation, in the audit of another tenant. */
const INSTALLATION = 'installation';

/** What a tenant may use; null: the installation's own limit. Absent fields stay as they are. */
export interface TenantQuotas {
  readonly maxConnections?: number | null;
  readonly maxRequests?: number | null;
  readonly maxStoredBytes?: number | null;
}

/** A tenant, and what it uses. */
export type TenantWithUsage = TenantRecord & { readonly stored_bytes: number };

/** Creates, shows and changes the tenants of an installation. Who may do so is the caller's business. */
export class Tenants {
  constructor(
    private readonly store: StateStore,
    private readonly nowMs: () => number = Date.now,
    private readonly newId: () => string = randomUUID,
    /** After a tenant was enabled: what has waited since is due already, and nothing else would say so. */
    private readonly onEnabled: () => void = () => undefined,
  ) {}

  /** Creates one inside the caller's transaction. @throws {WireError} conflict: the slug is taken, or there are too many */
  async createIn(
    tx: Tx,
    { slug, actor, ...quotas }: TenantQuotas & { slug: string; actor: string },
  ): Promise<TenantWithUsage> {
    const records = tx.records(TenantRecords);
    if ((await records.count()) >= MAX_TENANTS) throw new WireError('conflict', `there are ${MAX_TENANTS} tenants`);
    const record: TenantRecord = {
      tenant_id: this.newId(),
      slug,
      created_at: this.nowMs(),
      disabled_at: null,
      max_connections: quotas.maxConnections ?? null,
      max_requests: quotas.maxRequests ?? null,
      max_stored_bytes: quotas.maxStoredBytes ?? null,
    };
    try {
      await records.insert(record);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new WireError('conflict', 'another tenant has this slug');
    }
    const subject = `tenant:${record.tenant_id}`;
    await noteAudit(tx, [
      { tenantId: DEFAULT_TENANT_ID, type: 'tenant.created', actor, subject, detail: { slug } },
      { tenantId: record.tenant_id, type: 'tenant.created', actor: INSTALLATION, subject },
    ]);
    return { ...record, stored_bytes: 0 };
  }

  /** Oldest first. */
  list(): Promise<TenantWithUsage[]> {
    const order = { created_at: 'ASC', tenant_id: 'ASC' } as const;
    return this.store.read(async (db) =>
      withUsage(db, await db.records(TenantRecords).find({ order, take: MAX_TENANTS })),
    );
  }

  /** Undefined = there is none of that id. */
  get(tenantId: string): Promise<TenantWithUsage | undefined> {
    return this.store.read(
      async (db) => (await withUsage(db, await db.records(TenantRecords).findBy({ tenant_id: tenantId })))[0],
    );
  }

  /**
   * Changes quotas, and whether the tenant is served at all. Its tokens and connections end within two seconds, its turns
   * after their steps, and its schedules rest, until it is enabled again.
   * @returns undefined when there is none of that id
   * @throws {WireError} conflict, when the tenant the installation is run from would be disabled
   */
  async update(
    tenantId: string,
    { disabled, actor, ...quotas }: TenantQuotas & { readonly disabled?: boolean; readonly actor: string },
  ): Promise<TenantWithUsage | undefined> {
    if (disabled && tenantId === DEFAULT_TENANT_ID) {
      throw new WireError('conflict', 'the first tenant runs the installation and cannot be disabled');
    }
    const updated = await this.store.transaction(async (tx) => {
      const records = tx.records(TenantRecords);
      const before = await records.findOneBy({ tenant_id: tenantId });
      if (!before) return undefined;
      const after: TenantRecord = {
        ...before,
        ...(disabled === undefined ? {} : { disabled_at: disabled ? (before.disabled_at ?? this.nowMs()) : null }),
        ...(quotas.maxConnections === undefined ? {} : { max_connections: quotas.maxConnections }),
        ...(quotas.maxRequests === undefined ? {} : { max_requests: quotas.maxRequests }),
        ...(quotas.maxStoredBytes === undefined ? {} : { max_stored_bytes: quotas.maxStoredBytes }),
      };
      const { disabled_at, max_connections, max_requests, max_stored_bytes } = after;
      const limits = { max_connections, max_requests, max_stored_bytes };
      await records.update({ tenant_id: tenantId }, { disabled_at, ...limits });
      const detail = { disabled: disabled_at !== null, ...limits };
      const note = { type: 'tenant.changed', subject: `tenant:${tenantId}`, detail } as const;
      await noteAudit(tx, [
        { ...note, tenantId: DEFAULT_TENANT_ID, actor },
        // Its own admins see that it was done; by whom is the installation's business.
        ...(tenantId === DEFAULT_TENANT_ID ? [] : [{ ...note, tenantId, actor: INSTALLATION }]),
      ]);
      return (await withUsage(tx, [after]))[0];
    });
    if (updated && disabled === false) this.onEnabled();
    return updated;
  }
}

/** One look at what all of them use: there are no more of them than a list shows. */
async function withUsage(db: Reader, tenants: readonly TenantRecord[]): Promise<TenantWithUsage[]> {
  const stored = await storedBytesByTenant(db);
  return tenants.map((tenant) => ({ ...tenant, stored_bytes: stored.get(tenant.tenant_id) ?? 0 }));
}
