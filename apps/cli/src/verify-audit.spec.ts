import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AUDIT_GENESIS,
  auditHash,
  auditKeyId,
  encodeBase64Url,
  signSeal,
  type AuditEntry,
  type AuditSeal,
} from '@tyrum/protocol';
import { readHeads, verifyAudit } from './verify-audit';

const TENANT = '00000000-0000-4000-8000-000000000001';

function newSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const public_key = encodeBase64Url(publicKey.export({ format: 'der', type: 'spki' }));
  const key_id = auditKeyId(public_key);
  const signed_at = '2026-01-01T00:00:00.000Z';
  return (claim: Pick<AuditSeal, 'kind' | 'seq' | 'hash'>, tenant_id = TENANT): AuditSeal =>
    signSeal(privateKey, { v: 1, tenant_id, signed_at, key_id, public_key, ...claim });
}

function chain(actors: readonly string[]): AuditEntry[] {
  let hash = AUDIT_GENESIS;
  return actors.map((actor, i) => {
    const at = new Date(i).toISOString();
    const entry = {
      seq: i + 1,
      tenant_id: TENANT,
      at,
      type: 'token.issued',
      actor,
      subject: null,
      detail: {},
    } as const;
    hash = auditHash(hash, entry);
    return { ...entry, hash };
  });
}

const last = (entries: readonly AuditEntry[]) =>
  ({ kind: 'head', seq: entries.length, hash: entries.at(-1)?.hash ?? '' }) as const;

describe('verifyAudit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-verify-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const sign = newSigner();
  const good = chain(['a', 'b', 'c', 'd', 'e', 'f']);
  const kept = sign(last(good));

  const verify = (entries: readonly object[], known: { heads?: AuditSeal[]; keys?: string[] } = {}, head?: object) => {
    const path = join(folder, 'audit.ndjson');
    const lines = [...entries.map((entry) => ({ kind: 'entry', ...entry })), ...(head ? [head] : [])];
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return verifyAudit(path, { heads: known.heads ?? [kept], keys: known.keys ?? [] });
  };

  it('finds nothing where nothing was altered', async () => {
    expect(await verify(good, {}, kept)).toEqual({
      ok: true,
      tenant_id: TENANT,
      entries: 6,
      through: 6,
      heads: 1,
      signed_by: kept.key_id,
    });
  });

  const anew = chain(['a', 'b', 'x', 'd', 'e', 'f']);
  it.each<[string, object[], number, string]>([
    ['an edit', good.map((e) => (e.seq === 3 ? { ...e, actor: 'x' } : e)), 3, 'hash'],
    ['a deletion', good.filter(({ seq }) => seq !== 3), 3, 'sequence'],
    ['an insertion', [...good.slice(0, 2), { ...anew[2], seq: 3 }, ...good.slice(2)], 4, 'sequence'],
    ['a move', [good[0], good[2], good[1], ...good.slice(3)] as AuditEntry[], 2, 'sequence'],
    ['a cut', good.slice(0, 4), 5, 'truncated'],
    ['a full rewrite', anew, 6, 'rewritten'],
    ['what is no entry', [...good.slice(0, 2), { kind: 'x' }, ...good.slice(2)], 3, 'malformed'],
    ['another tenant’s entry', [...good.slice(0, 5), { ...good[5], tenant_id: 'x' }], 6, 'tenant'],
  ])('finds %s', async (_, entries, seq, rule) => {
    expect(await verify(entries)).toMatchObject({ ok: false, broken: { seq, rule } });
  });

  it('believes no head of a key that nobody named', async () => {
    const other = newSigner();
    const foreign = other(last(good));
    expect(await verify(good, {}, foreign)).toMatchObject({ ok: false, broken: { rule: 'signature' } });
    expect(await verify(good, { keys: [foreign.key_id] }, foreign)).toMatchObject({ ok: true });
    expect(await verify(good, { heads: [] }, { ...kept, hash: foreign.signature })).toMatchObject({ ok: false });
  });

  it('takes heads from files of one and from logs with much else', async () => {
    const path = join(folder, 'heads');
    writeFileSync(path, `${JSON.stringify(kept, null, 2)}\n`);
    expect(readHeads(path)).toEqual([kept]);
    const elsewhere = sign({ kind: 'head', seq: 9, hash: kept.hash }, '00000000-0000-4000-8000-000000000002');
    const log = [
      { level: 'info', msg: 'listening' },
      { audit_head: kept },
      { audit_head: elsewhere, msg: 'audit head' },
    ];
    writeFileSync(path, `plain words\n${log.map((line) => JSON.stringify(line)).join('\n')}\n`);
    expect(await verify(good, { heads: readHeads(path) })).toMatchObject({ ok: true, heads: 1 });
    expect(await verify(anew, { heads: readHeads(path) })).toMatchObject({ ok: false, broken: { rule: 'rewritten' } });
    await expect(verify(good, { heads: [elsewhere] })).rejects.toThrow('none is of tenant');
    writeFileSync(path, 'nothing\n');
    expect(() => readHeads(path)).toThrow('holds no head');
  });
});
