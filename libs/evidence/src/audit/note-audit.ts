import type { AuditType } from '@tyrum/protocol';
import type { Tx } from '@tyrum/statestore';
import { insertPending } from './sql/link-entries';

/** Something to be audited, as whoever did it says it. */
export interface AuditNote {
  readonly tenantId: string;
  readonly type: AuditType;
  /** Who: `token:<id>` for people and devices, else a word for the part of Tyrum that did it. */
  readonly actor: string;
  /** To what: `turn:<id>`. */
  readonly subject?: string;
  /** What else an auditor has to know: names, ids, hashes, numbers. No secret, no token, nothing that was sent or shown. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/**
 * Puts notes into the commit of the change they tell of. It takes no lock and reads nothing, so it may stand anywhere in a
 * transaction and nobody need wait for it; `AuditChain.link` brings them into the chain afterwards.
 */
export function noteAudit(tx: Tx, notes: readonly AuditNote[]): Promise<unknown> {
  if (notes.length === 0) return Promise.resolve();
  const byTenant = new Map<string, Omit<AuditNote, 'tenantId'>[]>();
  for (const { tenantId, ...note } of notes) byTenant.set(tenantId, [...(byTenant.get(tenantId) ?? []), note]);
  const rows = [...byTenant].map(([tenant_id, own]) => ({ tenant_id, notes: JSON.stringify(own) }));
  return tx.query(insertPending, [rows]);
}
