import { auditHash, canonicalJson, type AuditEntry, type AuditType } from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import type { AuditNote } from './note-audit';
import { advanceHead, findPendingTenants, holdHead, insertEntries, isPending, takePending } from './sql/link-entries';

/** The end of a tenant's chain. */
export interface HeadRow {
  readonly seq: number;
  readonly hash: string;
  /** Up to where somebody has signed it, and what was signed (JSON). */
  readonly sealed_seq: number;
  readonly sealed: string | null;
  /** Up to where retention has deleted it, and the seal that stands for that (JSON). */
  readonly checkpoint_seq: number;
  readonly checkpoint: string | null;
}

/** An entry as it lies there; its hash is over exactly these columns. */
export interface EntryRow {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly subject: string | null;
  /** Canonical JSON. */
  readonly detail: string;
  readonly hash: string;
}

interface PendingRow {
  readonly pending_id: number;
  readonly notes: string;
  readonly noted_at: number;
}

/** Commits whose notes are linked in one transaction at the most. */
const BATCH = 500;
const MAX_TENANTS = 1_000;

/**
 * Brings committed notes into their tenant's chain.
 *
 *     a change ─ noteAudit ─▶ audit_pending ─ link, under the head's row lock ─▶ audit_entry (seq, hash) ─ seal ─▶ signed head
 *          one commit                              one commit a batch
 *
 * Who links holds the tenant's row of `audit_head` and takes notes and writes entries in one commit: however many processes
 * link, and wherever one of them dies, there are no gaps, no forks, and nothing is in the chain twice.
 */
export class AuditChain {
  constructor(private readonly store: StateStore) {}

  /** Links all that a tenant has. Returns how many entries came of it. */
  async link(tenantId: string): Promise<number> {
    let linked = 0;
    for (;;) {
      // A head's lock is a write: nobody takes it for nothing.
      if ((await this.store.read((db) => db.query(isPending, [tenantId]))).length === 0) return linked;
      const batch = await this.store.transaction((tx) => this.linkIn(tx, tenantId));
      if (batch === 0) return linked;
      linked += batch;
    }
  }

  /** The tenants that have something to link. */
  async pendingTenants(): Promise<string[]> {
    const rows = await this.store.read((db) => db.query<{ tenant_id: string }>(findPendingTenants, [MAX_TENANTS]));
    return rows.map((row) => row.tenant_id);
  }

  private async linkIn(tx: Tx, tenantId: string): Promise<number> {
    const [head] = await tx.query<HeadRow>(holdHead, [tenantId]);
    if (!head) throw new Error('the statement makes the head where there is none');
    const pending = await tx.query<PendingRow>(takePending, [tenantId, BATCH]);
    const notes = [...pending].sort((a, b) => a.pending_id - b.pending_id).flatMap(notesOf);
    if (notes.length === 0) return 0;
    let { seq, hash } = head;
    const rows = notes.map((note) => {
      const entry = toEntry(tenantId, { ...note, seq: (seq += 1) });
      hash = auditHash(hash, entry);
      return { ...note, seq, hash };
    });
    void tx.query(insertEntries, [tenantId, rows]);
    await tx.query(advanceHead, [tenantId, seq, hash]);
    return rows.length;
  }
}

/** The wire shape of a row. Its columns are all that is hashed, so that none of them can be changed alone. */
export function toEntry(tenantId: string, row: Omit<EntryRow, 'hash'>): Omit<AuditEntry, 'hash'> {
  return {
    seq: row.seq,
    tenant_id: tenantId,
    at: new Date(row.at).toISOString(),
    type: row.type as AuditType,
    actor: row.actor,
    subject: row.subject,
    detail: parsed(row.detail),
  };
}

/** What somebody has put there that is no JSON must not keep the rest from being read: its hash tells on it. */
function parsed(detail: string): Record<string, unknown> {
  try {
    return JSON.parse(detail) as Record<string, unknown>;
  } catch {
    return { unreadable: detail };
  }
}

function notesOf({ notes, noted_at: at }: PendingRow): Omit<EntryRow, 'seq' | 'hash'>[] {
  return (JSON.parse(notes) as Omit<AuditNote, 'tenantId'>[]).map(({ type, actor, subject = null, detail = {} }) => {
    return { at, type, actor, subject, detail: canonicalJson(detail) };
  });
}
