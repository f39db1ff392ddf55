import { createHash, sign, type KeyObject } from 'node:crypto';
import type { AuditEntry, AuditSeal } from './audit';
import { decodeBase64Url, encodeBase64Url } from './base64url';
import { canonicalJson } from './canonical-json';
import { decodePublicKey, verifySignature } from './device-signatures';

/** What comes before the first entry: 32 zero bytes, hex. */
export const AUDIT_GENESIS = '0'.repeat(64);

const KEY_ID_LENGTH = 32;

/** The hash of an entry that follows one whose hash is `previous`. */
export function auditHash(previous: string, entry: Omit<AuditEntry, 'hash'>): string {
  const { seq, tenant_id, at, type, actor, subject, detail } = entry;
  return createHash('sha256')
    .update(Buffer.from(previous, 'hex'))
    .update(canonicalJson({ seq, tenant_id, at, type, actor, subject, detail }), 'utf8')
    .digest('hex');
}

/** The name of a public key (base64url SPKI) in signatures. */
export function auditKeyId(publicKey: string): string {
  return createHash('sha256')
    .update(decodeBase64Url(publicKey) ?? '')
    .digest('hex')
    .slice(0, KEY_ID_LENGTH);
}

export function signSeal(
  privateKey: KeyObject,
  { v, kind, tenant_id, seq, hash, signed_at, key_id, public_key }: Omit<AuditSeal, 'signature'>,
): AuditSeal {
  const statement = { v, kind, tenant_id, seq, hash, signed_at, key_id, public_key };
  const signature = encodeBase64Url(sign(null, Buffer.from(canonicalJson(statement), 'utf8'), privateKey));
  return { ...statement, signature };
}

/** Whether the seal was signed with the key it names. Whose key that is, is the caller's question. */
export function isSealed(seal: AuditSeal): boolean {
  const { v, kind, tenant_id, seq, hash, signed_at, key_id, public_key, signature } = seal;
  if (v !== 1 || !decodePublicKey(public_key) || key_id !== auditKeyId(public_key)) return false;
  const statement = { v, kind, tenant_id, seq, hash, signed_at, key_id, public_key };
  return verifySignature(public_key, signature, canonicalJson(statement));
}

/** Which rule a chain breaks. */
export type AuditRule =
  /** A line is neither an entry nor a seal. */
  | 'malformed'
  /** An entry is of another tenant. */
  | 'tenant'
  /** Its number does not follow the one before: something was taken out, put in, or moved. */
  | 'sequence'
  /** It does not follow from the entry before it: one of the two was changed, or the ones between are gone. */
  | 'hash'
  /** A seal's signature is not of the key it names, or that key is not among those that are trusted. */
  | 'signature'
  /** The chain ends before an entry that a head vouches for. */
  | 'truncated'
  /** At the place of a head there is another entry than the one it vouches for: the chain was written anew. */
  | 'rewritten';

/** Where a chain breaks first: `seq` is the place, `rule` what is wrong there. */
export interface AuditBreak {
  readonly seq: number;
  readonly rule: AuditRule;
  readonly message: string;
}

/** Follows a chain entry by entry, from its start or from a checkpoint on, and remembers where it breaks first. */
export class AuditChainCheck {
  broken: AuditBreak | undefined;
  seq = 0;
  hash: string = AUDIT_GENESIS;
  private readonly awaited: AuditSeal[];

  /**
   * @param tenantId whose chain it is; absent: the first line tells
   * @param heads heads that were kept before, of any age
   * @param trusted ids of keys; absent: the keys that the heads name
   */
  constructor(
    private tenantId: string | undefined,
    private readonly heads: readonly AuditSeal[] = [],
    private readonly trusted?: ReadonlySet<string>,
  ) {
    this.awaited = [...heads].sort((a, b) => a.seq - b.seq);
    for (const head of heads) this.checkSeal(head);
  }

  /** Begins behind what retention has deleted. Heads from before it are not to be compared any more; its signature stands for them. */
  startAt(checkpoint: AuditSeal): void {
    if (this.seq > 0) return this.breakAt(this.seq + 1, 'malformed', 'a checkpoint stands behind entries');
    this.checkSeal(checkpoint);
    this.seq = checkpoint.seq;
    this.hash = checkpoint.hash;
    while (this.awaited[0] && this.awaited[0].seq < checkpoint.seq) this.awaited.shift();
    this.compareHeads();
  }

  next(entry: AuditEntry): void {
    if (this.broken) return;
    this.tenantId ??= entry.tenant_id;
    const expected = this.seq + 1;
    if (entry.tenant_id !== this.tenantId) return this.breakAt(expected, 'tenant', 'the entry is of another tenant');
    if (entry.seq !== expected) {
      return this.breakAt(expected, 'sequence', `entry ${entry.seq} stands where ${expected} should`);
    }
    if (entry.hash !== auditHash(this.hash, entry)) {
      return this.breakAt(expected, 'hash', `entry ${expected} does not follow from the one before it`);
    }
    this.seq = expected;
    this.hash = entry.hash;
    this.compareHeads();
  }

  /** After the last entry. `head`: the one that came with the entries. */
  end(head?: AuditSeal): AuditBreak | undefined {
    if (head) {
      this.checkSeal(head);
      this.awaited.push(head);
      this.compareHeads();
    }
    const [missing] = this.awaited;
    if (missing)
      this.breakAt(this.seq + 1, 'truncated', `a head vouches for ${missing.seq} entries, ${this.seq} are here`);
    return this.broken;
  }

  breakAt(seq: number, rule: AuditRule, message: string): void {
    this.broken ??= { seq, rule, message };
  }

  private compareHeads(): void {
    while (this.awaited[0] && this.awaited[0].seq <= this.seq && !this.broken) {
      const head = this.awaited.shift() as AuditSeal;
      // Of an empty chain there is nothing to compare.
      if (head.seq === 0 || (head.seq === this.seq && head.hash === this.hash)) continue;
      this.breakAt(head.seq, 'rewritten', `the head of ${head.signed_at} vouches for another entry ${head.seq}`);
    }
  }

  private checkSeal(seal: AuditSeal): void {
    this.tenantId ??= seal.tenant_id;
    if (seal.tenant_id !== this.tenantId)
      return this.breakAt(seal.seq, 'tenant', `a ${seal.kind} is of another tenant`);
    if (!isSealed(seal))
      return this.breakAt(seal.seq, 'signature', `the ${seal.kind} is not signed by the key it names`);
    const known = this.trusted ?? new Set(this.heads.map((head) => head.key_id));
    if (known.size > 0 && !known.has(seal.key_id)) {
      this.breakAt(
        seal.seq,
        'signature',
        `the ${seal.kind} is signed by ${seal.key_id}, which is not among the trusted keys`,
      );
    }
  }
}
