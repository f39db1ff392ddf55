import {
  AuditChainCheck,
  type AuditBreak,
  type AuditEntry,
  type AuditListPayload,
  type AuditSeal,
  AUDIT_GENESIS,
} from '@tyrum/protocol';
import type { Reader, StateStore } from '@tyrum/statestore';
import { AuditChain, toEntry, type EntryRow, type HeadRow } from './audit-chain';
import type { AuditKey } from './audit-key';
import { noteAudit } from './note-audit';
import { FILTERS, findUnsealed, keepSeal, listEntries, readEntries, readHead } from './sql/read-entries';

/** A chain was found altered: nothing is signed over it. */
export class AuditBrokenError extends Error {
  readonly code = 'audit_broken';
  constructor(
    readonly tenantId: string,
    readonly broken: AuditBreak,
  ) {
    super(`the audit of tenant ${tenantId} is broken at ${broken.seq} (${broken.rule}): ${broken.message}`);
    this.name = 'AuditBrokenError';
  }
}

/** A line of an export: what retention left to say of the past, an entry, or at the end the head. */
export type AuditLine = AuditSeal | ({ readonly kind: 'entry' } & AuditEntry);

/** The end of a chain without entries. */
const EMPTY = { seq: 0, hash: AUDIT_GENESIS, checkpoint: null, checkpoint_seq: 0 };
const BATCH = 500;
const MAX_TENANTS = 1_000;

/** What is in the chains, and what a deployment vouches for. Everything here sees what was committed before it was asked. */
export class AuditLog {
  private readonly chain: AuditChain;

  constructor(
    private readonly store: StateStore,
    private readonly key: AuditKey,
  ) {
    this.chain = new AuditChain(store);
  }

  /** Newest first; `before`: those with lower numbers. */
  async list(
    tenantId: string,
    {
      before = Number.MAX_SAFE_INTEGER,
      limit,
      ...wanted
    }: Pick<AuditListPayload, (typeof FILTERS)[number] | 'limit'> & {
      readonly before?: number;
    },
  ): Promise<AuditEntry[]> {
    await this.chain.link(tenantId);
    const filters = FILTERS.filter((name) => wanted[name] !== undefined);
    const values = filters.map((name) => wanted[name] as string);
    const rows = await this.store.read((db) =>
      db.query<EntryRow>(listEntries(filters), [tenantId, before, limit, ...values]),
    );
    return rows.map((row) => ({ ...toEntry(tenantId, row), hash: row.hash }));
  }

  /**
   * Links what there is and signs the end of the chain, after a look at all that came since it was last signed.
   * @throws {AuditBrokenError} that was altered
   */
  async head(tenantId: string): Promise<AuditSeal> {
    await this.noteKey(tenantId);
    await this.chain.link(tenantId);
    const row = await this.end(tenantId);
    const { seq, hash } = row ?? EMPTY;
    const broken = row && (await this.check(tenantId, row));
    // Retention may have taken what was about to be looked at.
    if (broken && (await this.end(tenantId))?.checkpoint_seq !== row.checkpoint_seq) return this.head(tenantId);
    if (broken) throw new AuditBrokenError(tenantId, broken);
    const seal = this.key.seal({ kind: 'head', tenant_id: tenantId, seq, hash });
    if (row) await this.store.execute(keepSeal, [tenantId, seq, JSON.stringify(seal)]);
    return seal;
  }

  /** Tenants whose chain has grown, or is about to, since it was last signed. */
  async unsealed(): Promise<string[]> {
    const pending = await this.chain.pendingTenants();
    const grown = await this.store.read((db) => db.query<{ tenant_id: string }>(findUnsealed, [MAX_TENANTS]));
    return [...new Set([...pending, ...grown.map((row) => row.tenant_id)])];
  }

  /** All of a tenant's audit up to now, for `AuditChainCheck`. It is not checked here: what is broken is to be seen. */
  async *export(tenantId: string): AsyncGenerator<AuditLine> {
    await this.chain.link(tenantId);
    const row = await this.end(tenantId);
    const { seq, hash, checkpoint, checkpoint_seq } = row ?? EMPTY;
    const batchAfter = (after: number) => this.store.read((db) => entriesAfter(db, tenantId, { after, through: seq }));
    let rows = await batchAfter(checkpoint_seq);
    // Retention went on between the two looks.
    if (row && (await this.end(tenantId))?.checkpoint_seq !== checkpoint_seq) return yield* this.export(tenantId);
    if (checkpoint !== null) yield JSON.parse(checkpoint) as AuditSeal;
    for (;;) {
      for (const entry of rows) yield { kind: 'entry', ...toEntry(tenantId, entry), hash: entry.hash };
      const last = rows.at(-1);
      if (!last || rows.length < BATCH) break;
      rows = await batchAfter(last.seq);
    }
    yield this.key.seal({ kind: 'head', tenant_id: tenantId, seq, hash });
  }

  /** That another key signs from here on belongs into the chain. */
  private async noteKey(tenantId: string): Promise<void> {
    const { sealed = null } = (await this.end(tenantId)) ?? {};
    const before = sealed === null ? this.key.keyId : (JSON.parse(sealed) as AuditSeal).key_id;
    if (before === this.key.keyId) return;
    const note = { tenantId, type: 'audit.key_used', actor: 'tyrum', subject: `key:${this.key.keyId}` } as const;
    await this.store.transaction((tx) => noteAudit(tx, [{ ...note, detail: { before } }]));
  }

  private async end(tenantId: string): Promise<HeadRow | undefined> {
    return (await this.store.read((db) => db.query<HeadRow>(readHead, [tenantId])))[0];
  }

  /** Follows the chain from its last signed place to its end. */
  private async check(tenantId: string, head: HeadRow): Promise<AuditBreak | undefined> {
    const check = new AuditChainCheck(tenantId);
    const from = startOf(head);
    if (from) check.startAt(from);
    // The entry a seal vouches for is still there, unless retention took it.
    let after = Math.max(check.seq - 1, head.checkpoint_seq);
    for (;;) {
      const rows = await this.store.read((db) => entriesAfter(db, tenantId, { after, through: head.seq }));
      for (const row of rows) {
        if (row.seq === from?.seq && row.seq === check.seq) {
          if (row.hash !== from.hash)
            check.breakAt(row.seq, 'rewritten', `entry ${row.seq} is not the one that was signed`);
        } else check.next({ ...toEntry(tenantId, row), hash: row.hash });
      }
      after = rows.at(-1)?.seq ?? after;
      if (rows.length < BATCH || check.broken) break;
    }
    if (check.seq !== head.seq)
      check.breakAt(check.seq + 1, 'truncated', `${head.seq} entries were linked, ${check.seq} are here`);
    else if (check.hash !== head.hash) check.breakAt(head.seq, 'hash', 'the head is not the hash of its entry');
    return check.broken;
  }
}

/** The later one of what was signed: the last head, or the place up to which retention has deleted. */
function startOf({ sealed, sealed_seq, checkpoint, checkpoint_seq }: HeadRow): AuditSeal | undefined {
  const text = checkpoint_seq > sealed_seq ? checkpoint : (sealed ?? checkpoint);
  return text === null ? undefined : (JSON.parse(text) as AuditSeal);
}

function entriesAfter(
  db: Reader,
  tenantId: string,
  { after, through }: { readonly after: number; readonly through: number },
): Promise<EntryRow[]> {
  return db.query<EntryRow>(readEntries, [tenantId, after, through, BATCH]);
}
