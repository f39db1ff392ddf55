import type { AuditSeal } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { HeadRow } from './audit-chain';
import type { AuditKey } from './audit-key';
import { AuditLog } from './audit-log';
import { holdHead } from './sql/link-entries';
import { deleteThrough, findAged, keepCheckpoint, readAged } from './sql/read-entries';

/** Hears of the heads that were signed, so that they are kept where the database's owner cannot change them. */
export interface SealObserver {
  sealed(head: AuditSeal): void;
  /** A chain cannot be signed: it was altered, or the database is away. */
  trouble(tenantId: string, error: unknown): void;
}

/** What is done with the audit from time to time, by whoever runs the retention sweep. */
export class AuditUpkeep {
  private readonly log: AuditLog;

  constructor(
    private readonly store: StateStore,
    private readonly key: AuditKey,
    private readonly observer: SealObserver,
  ) {
    this.log = new AuditLog(store, key);
  }

  /** Links what is pending and signs every chain that has grown. */
  async seal(): Promise<void> {
    for (const tenantId of await this.log.unsealed()) {
      try {
        this.observer.sealed(await this.log.head(tenantId));
      } catch (error) {
        // One tenant's broken chain must not keep the others' from being signed.
        this.observer.trouble(tenantId, error);
      }
    }
  }

  /**
   * Deletes up to `limit` entries a tenant that are older than `keptForMs`, behind a signed checkpoint that takes their place. Only
   * what a signed head has covered goes. Returns how many went, and whether there is more.
   */
  async prune(keptForMs: number, limit: number): Promise<{ deleted: number; more: boolean }> {
    let [deleted, more] = [0, false];
    const aged = await this.store.read((db) => db.query<{ tenant_id: string }>(findAged, [keptForMs]));
    for (const { tenant_id } of aged) {
      const gone = await this.pruneOf(tenant_id, keptForMs, limit);
      deleted += gone;
      more ||= gone >= limit;
    }
    return { deleted, more };
  }

  private pruneOf(tenantId: string, keptForMs: number, limit: number): Promise<number> {
    return this.store.transaction(async (tx) => {
      const [head] = await tx.query<HeadRow>(holdHead, [tenantId]);
      const oldest = await tx.query<{ seq: number; hash: string; aged: number }>(readAged, [
        tenantId,
        keptForMs,
        limit,
      ]);
      const kept = oldest.findIndex(({ seq, aged }) => !aged || seq > (head?.sealed_seq ?? 0));
      const gone = kept < 0 ? oldest : oldest.slice(0, kept);
      const last = gone.at(-1);
      if (!last) return 0;
      const { seq, hash } = last;
      const seal = this.key.seal({ kind: 'checkpoint', tenant_id: tenantId, seq, hash });
      void tx.query(keepCheckpoint, [tenantId, seq, JSON.stringify(seal)]);
      void tx.query(deleteThrough, [tenantId, seq]);
      return gone.length;
    });
  }
}
