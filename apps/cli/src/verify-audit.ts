import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { AuditChainCheck, type AuditBreak, type AuditEntry, type AuditSeal } from '@tyrum/protocol';
import { UsageError } from './config';

/** What became of a look at an export. */
export interface AuditVerdict {
  readonly ok: boolean;
  /** Where it breaks first. */
  readonly broken?: AuditBreak;
  readonly tenant_id: string | null;
  readonly entries: number;
  readonly through: number;
  /** Heads kept before that it was compared with. */
  readonly heads: number;
  readonly signed_by: string | null;
}

type Line = AuditSeal | ({ readonly kind: 'entry' } & AuditEntry);

/**
 * Follows an export from its beginning to its end, asking nobody. @param path `-`: standard input
 * @param known heads that were kept, and ids of keys that may sign besides theirs
 */
export async function verifyAudit(
  path: string,
  known: { readonly heads: readonly AuditSeal[]; readonly keys: readonly string[] },
): Promise<AuditVerdict> {
  let check: AuditChainCheck | undefined;
  let head: AuditSeal | undefined;
  let [entries, compared] = [0, 0];
  const begin = (tenantId: string | undefined): AuditChainCheck => {
    const own = known.heads.filter((one) => tenantId === undefined || one.tenant_id === tenantId);
    if (known.heads.length > 0 && own.length === 0) throw new UsageError(`--head: none is of tenant ${tenantId}`);
    compared = own.length;
    const trusted = new Set([...known.keys, ...own.map((one) => one.key_id)]);
    return new AuditChainCheck(tenantId, own, trusted.size > 0 ? trusted : undefined);
  };
  const input = path === '-' ? process.stdin : createReadStream(path);
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    if (text.trim() === '') continue;
    const line = lineOf(text);
    check ??= begin(line?.tenant_id);
    if (!line || head) check.breakAt(check.seq + 1, 'malformed', 'a line is no entry, head or checkpoint in its place');
    else if (line.kind === 'entry') check.next(line);
    else if (line.kind === 'checkpoint') check.startAt(line);
    else head = line;
    if (line?.kind === 'entry') entries += 1;
  }
  check ??= begin(known.heads[0]?.tenant_id);
  const broken = check.end(head);
  const about = { tenant_id: head?.tenant_id ?? null, entries, through: check.seq, heads: compared };
  return { ok: !broken, ...(broken ? { broken } : {}), ...about, signed_by: head?.key_id ?? null };
}

/** The heads in a file: one as `tyrum audit head` prints it, or any number of log lines, whatever else is among them. */
export function readHeads(path: string): AuditSeal[] {
  const text = readFileSync(path, 'utf8');
  const whole = headOf(text);
  const heads = whole ? [whole] : text.split('\n').flatMap((line) => headOf(line) ?? []);
  if (heads.length === 0) throw new UsageError(`--head: ${path} holds no head`);
  return heads;
}

function headOf(text: string): AuditSeal | undefined {
  const value = parsed(text) as { kind?: unknown; audit_head?: AuditSeal } | undefined;
  const head = value?.audit_head ?? value;
  return head?.kind === 'head' ? (head as AuditSeal) : undefined;
}

function lineOf(text: string): Line | undefined {
  const value = parsed(text) as Line | undefined;
  if (value?.kind === 'head' || value?.kind === 'checkpoint') return isSealShaped(value) ? value : undefined;
  const isEntry = value?.kind === 'entry' && typeof value.detail === 'object' && typeof value.hash === 'string';
  return isEntry ? value : undefined;
}

function isSealShaped(seal: AuditSeal): boolean {
  const texts = [seal.tenant_id, seal.hash, seal.signed_at, seal.key_id, seal.public_key, seal.signature];
  return Number.isSafeInteger(seal.seq) && texts.every((text) => typeof text === 'string');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
