import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AUDIT_GENESIS, AuditChainCheck, auditHash, DEFAULT_TENANT_ID, type AuditSeal } from '@tyrum/protocol';
import { portable, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { toEntry, type EntryRow } from './audit-chain';
import { AuditKey, openAuditKey } from './audit-key';
import { AuditBrokenError, AuditLog, type AuditLine } from './audit-log';
import { AuditUpkeep } from './audit-upkeep';
import { noteAudit, type AuditNote } from './note-audit';

const T = DEFAULT_TENANT_ID;
const OTHER = '00000000-0000-4000-8000-00000000000b';
const REGISTER = join(__dirname, '..', '..', '..', '..', 'tools', 'chaos', 'register.cjs');
const CONTENDER = join(__dirname, '..', 'testing', 'audit-contender.ts');
const seed = () => Buffer.from(Array.from({ length: 32 }, () => Math.floor(Math.random() * 256))).toString('base64url');

describeOnBothDialects('the audit', (stores) => {
  let store: StateStore;
  let log: AuditLog;
  const key = new AuditKey(seed());

  beforeEach(async () => {
    store = await stores().open();
    log = new AuditLog(store, key);
  });

  const run = <Row = Record<string, unknown>>(text: string) => store.execute<Row>(portable('test', text));
  const note = (...notes: Partial<AuditNote>[]) =>
    store.transaction((tx) =>
      noteAudit(
        tx,
        notes.map((given) => ({ tenantId: T, type: 'token.issued', actor: 'token:a', ...given })),
      ),
    );
  const exported = async (from: AuditLog = log): Promise<AuditLine[]> => {
    const lines: AuditLine[] = [];
    for await (const line of from.export(T)) lines.push(line);
    return lines;
  };
  const check = (lines: readonly AuditLine[], heads: readonly AuditSeal[] = [], trusted?: ReadonlySet<string>) => {
    const following = new AuditChainCheck(T, heads, trusted);
    let end: AuditSeal | undefined;
    for (const line of lines) {
      if (line.kind === 'entry') following.next(line);
      else if (line.kind === 'checkpoint') following.startAt(line);
      else end = line;
    }
    return following.end(end);
  };
  const upkeep = () => {
    const sealed: AuditSeal[] = [];
    const troubles: unknown[] = [];
    const observer = {
      sealed: (head: AuditSeal) => sealed.push(head),
      trouble: (_: string, e: unknown) => troubles.push(e),
    };
    return { upkeep: new AuditUpkeep(store, key, observer), sealed, troubles };
  };

  it('keeps what was committed with its change, in one chain a tenant without gaps, and nothing else', async () => {
    await note({ subject: 'token:1', detail: { b: 1, a: 'ü\u0000' } }, { tenantId: OTHER });
    await note({ type: 'token.revoked', subject: 'token:1' });
    const failed = store.transaction(async (tx) => {
      await noteAudit(tx, [{ tenantId: T, type: 'tenant.changed', actor: 'x' }]);
      throw new Error('undone');
    });
    await expect(failed).rejects.toThrow('undone');
    const entries = await log.list(T, { limit: 10 });
    expect(entries.map(({ seq, type }) => [seq, type])).toEqual([
      [2, 'token.revoked'],
      [1, 'token.issued'],
    ]);
    expect(entries[1]).toMatchObject({ tenant_id: T, actor: 'token:a', detail: { a: 'ü\u0000', b: 1 } });
    expect(Math.abs(Date.parse(entries[1]?.at ?? '') - Date.now())).toBeLessThan(60_000);
    expect((await log.list(OTHER, { limit: 10 })).map(({ seq }) => seq)).toEqual([1]);
    expect(check(await exported())).toBeUndefined();
    expect(await run('select 1 as n from audit_pending')).toEqual([]);
  });

  it('is listed newest first, page by page, by type, actor and subject', async () => {
    for (let i = 0; i < 6; i += 1) {
      await note({
        actor: `token:${i % 2}`,
        subject: `turn:${i % 3}`,
        type: i < 3 ? 'turn.cancelled' : 'turn.resolved',
      });
    }
    const seqs = async (query: object) => (await log.list(T, { limit: 10, ...query })).map(({ seq }) => seq);
    expect(await seqs({ limit: 2 })).toEqual([6, 5]);
    expect(await seqs({ limit: 2, before: 5 })).toEqual([4, 3]);
    expect(await seqs({ actor: 'token:1' })).toEqual([6, 4, 2]);
    expect(await seqs({ subject: 'turn:2' })).toEqual([6, 3]);
    expect(await seqs({ type: 'turn.cancelled', actor: 'token:0' })).toEqual([3, 1]);
    expect(await seqs({ type: 'turn.cancelled', actor: 'token:0', subject: 'turn:0' })).toEqual([1]);
  });

  describe('that somebody alters in the database', () => {
    /** All hashes, and the head, as whoever may write to the database would make them anew. */
    const rehash = async () => {
      const rows = await run<EntryRow>(`select * from audit_entry where tenant_id = '${T}' order by seq`);
      let hash = AUDIT_GENESIS;
      for (const row of rows) {
        hash = auditHash(hash, toEntry(T, row));
        await run(`update audit_entry set hash = '${hash}' where tenant_id = '${T}' and seq = ${row.seq}`);
      }
      await run(`update audit_head set seq = ${rows.length}, hash = '${hash}', sealed = null, sealed_seq = 0`);
    };
    const renumber = async (from: number, by: number) => {
      await run(`update audit_entry set seq = seq + 1000 where seq >= ${from}`);
      await run(`update audit_entry set seq = seq - 1000 + ${by} where seq >= 1000`);
    };
    const ALTERATIONS: [string, { seq: number; rule: string }, (() => Promise<unknown>)[]][] = [
      [
        'edits an entry',
        { seq: 3, rule: 'hash' },
        [() => run(`update audit_entry set actor = 'token:x' where seq = 3`)],
      ],
      ['deletes one', { seq: 3, rule: 'sequence' }, [() => run('delete from audit_entry where seq = 3')]],
      [
        'deletes one and closes the gap',
        { seq: 3, rule: 'hash' },
        [() => run('delete from audit_entry where seq = 3'), () => renumber(4, -1)],
      ],
      [
        'inserts one',
        { seq: 3, rule: 'hash' },
        [
          () => renumber(3, 1),
          () =>
            run(
              `insert into audit_entry select tenant_id, 3, at, type, actor, 'token:forged', detail, hash from audit_entry where seq = 2`,
            ),
        ],
      ],
      [
        'moves one',
        { seq: 3, rule: 'hash' },
        [
          () => run('update audit_entry set seq = 1000 where seq = 3'),
          () => run('update audit_entry set seq = 3 where seq = 4'),
          () => run('update audit_entry set seq = 4 where seq = 1000'),
        ],
      ],
      ['cuts the end off', { seq: 5, rule: 'truncated' }, [() => run('delete from audit_entry where seq > 4'), rehash]],
      [
        'writes all of it anew',
        { seq: 6, rule: 'rewritten' },
        [() => run(`update audit_entry set actor = 'token:x' where seq = 3`), rehash],
      ],
      [
        'edits the last one and its hash',
        { seq: 6, rule: 'rewritten' },
        [() => run(`update audit_entry set actor = 'token:x' where seq = 6`), rehash],
      ],
    ];

    it.each(ALTERATIONS)('shows it where he %s', async (_, found, acts) => {
      for (let i = 1; i <= 6; i += 1) await note({ subject: `token:${i}` });
      const kept = await log.head(T);
      expect(check(await exported(), [kept])).toBeUndefined();
      for (const act of acts) await act();
      expect(check(await exported(), [kept])).toMatchObject(found);
    });

    it.each(['at', 'type', 'actor', 'subject', 'detail', 'hash'])('shows it in every column: %s', async (column) => {
      for (let i = 1; i <= 3; i += 1) await note({ subject: `token:${i}` });
      expect(check(await exported())).toBeUndefined();
      const value = column === 'at' ? 'at + 1' : column === 'detail' ? `'{"a":1}'` : `'${'0'.repeat(64)}'`;
      await run(`update audit_entry set ${column} = ${value} where seq = 2`);
      expect(check(await exported())).toMatchObject({ seq: 2, rule: 'hash' });
    });

    it('is signed no more, by head and by upkeep, while other tenants’ is', async () => {
      await note({}, { tenantId: OTHER });
      await log.head(T);
      await note({}, {}, { tenantId: OTHER });
      await log.list(T, { limit: 1 });
      await run(`update audit_entry set actor = 'token:x' where tenant_id = '${T}' and seq = 3`);
      await expect(log.head(T)).rejects.toThrow(AuditBrokenError);
      const { upkeep: keeping, sealed, troubles } = upkeep();
      await keeping.seal();
      expect(sealed.map(({ tenant_id, seq }) => [tenant_id, seq])).toEqual([[OTHER, 2]]);
      expect(troubles).toEqual([
        expect.objectContaining({ broken: expect.objectContaining({ seq: 3, rule: 'hash' }) as object }),
      ]);
    });
  });

  it('takes no head of another key, of another tenant, or altered, for one of its own', async () => {
    await note({}, {});
    const kept = await log.head(T);
    const lines = await exported();
    const foreign = new AuditKey(seed()).seal({ kind: 'head', tenant_id: T, seq: 2, hash: kept.hash });
    expect(check(lines, [kept], new Set([foreign.key_id]))).toMatchObject({ rule: 'signature' });
    expect(check(lines, [foreign])).toMatchObject({ rule: 'signature' });
    expect(check(lines, [kept, foreign], new Set([kept.key_id, foreign.key_id]))).toBeUndefined();
    expect(check(lines, [{ ...kept, seq: 1 }])).toMatchObject({ rule: 'signature' });
    expect(check(lines, [key.seal({ kind: 'head', tenant_id: OTHER, seq: 2, hash: kept.hash })])).toMatchObject({
      rule: 'tenant',
    });
  });

  it('tells where another key began to sign', async () => {
    await note({});
    const before = await log.head(T);
    const other = new AuditLog(store, new AuditKey(seed()));
    const after = await other.head(T);
    await other.head(T);
    expect(await log.list(T, { limit: 1 })).toMatchObject([
      { seq: 2, type: 'audit.key_used', subject: `key:${after.key_id}`, detail: { before: before.key_id } },
    ]);
    expect(check(await exported(other), [before, after])).toBeUndefined();
    expect(check(await exported(other), [before])).toMatchObject({ rule: 'signature' });
    expect(check(await exported(other), [before], new Set([before.key_id, after.key_id]))).toBeUndefined();
  });

  it('is deleted only up to a signed checkpoint, from which it still follows', async () => {
    for (let i = 1; i <= 10; i += 1) await note({ subject: `token:${i}` });
    const { upkeep: keeping, sealed } = upkeep();
    await log.list(T, { limit: 1 });
    await run('update audit_entry set at = at - 100000 where seq <= 8');
    await rehashed();
    // Nothing has been signed: nothing goes.
    expect(await keeping.prune(50_000, 5)).toEqual({ deleted: 0, more: false });
    const early = await log.head(T);
    await keeping.seal();
    expect(sealed).toEqual([]);
    expect(await keeping.prune(50_000, 5)).toEqual({ deleted: 5, more: true });
    expect(await keeping.prune(50_000, 5)).toEqual({ deleted: 3, more: false });
    expect(await keeping.prune(50_000, 5)).toEqual({ deleted: 0, more: false });
    await note({ subject: 'token:11' });
    await keeping.seal();
    expect(sealed.map(({ seq }) => seq)).toEqual([11]);
    const lines = await exported();
    expect(lines.map((line) => [line.kind, line.seq])).toEqual([
      ['checkpoint', 8],
      ['entry', 9],
      ['entry', 10],
      ['entry', 11],
      ['head', 11],
    ]);
    expect(check(lines, [early, ...sealed])).toBeUndefined();
    // Whoever deletes more has no checkpoint for it, and cannot sign one.
    expect(check(lines.slice(1), [early])).toMatchObject({ seq: 1, rule: 'sequence' });
    await run('delete from audit_entry where seq = 9');
    expect(check(await exported(), [early])).toMatchObject({ seq: 9, rule: 'sequence' });
    const forged = new AuditKey(seed()).seal({ kind: 'checkpoint', tenant_id: T, seq: 9, hash: lines[1]?.hash ?? '' });
    await run(`update audit_head set checkpoint_seq = 9, checkpoint = '${JSON.stringify(forged)}'`);
    expect(check(await exported(), [early])).toMatchObject({ rule: 'signature' });
  });

  /** For entries that a test has made older. */
  async function rehashed(): Promise<void> {
    let hash = AUDIT_GENESIS;
    for (const row of await run<EntryRow>('select * from audit_entry order by seq')) {
      hash = auditHash(hash, toEntry(T, row));
      await run(`update audit_entry set hash = '${hash}' where seq = ${row.seq}`);
    }
    await run(`update audit_head set hash = '${hash}'`);
  }

  it('has no gaps and no forks when processes that write, link and sign it are killed', async () => {
    const told: string[] = [];
    const text = seed();
    let names = 0;
    const start = () => {
      const child = fork(CONTENDER, [JSON.stringify(stores().address), T, `p${(names += 1)}`, text], {
        execArgv: ['-r', REGISTER],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      child.on('message', (subject) => told.push(subject as string));
      return child;
    };
    const children = [start(), start(), start()];
    try {
      for (let kill = 0; kill < 6; kill += 1) {
        const before = told.length;
        await eventually(() => expect(told.length).toBeGreaterThan(before + 40), { timeoutMs: 60_000 });
        children.shift()?.kill('SIGKILL');
        children.push(start());
      }
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
    const owner = new AuditLog(store, new AuditKey(text));
    const head = await owner.head(T);
    const lines = await exported(owner);
    expect(check(lines, [head])).toBeUndefined();
    const audited = lines.flatMap((line) => (line.kind === 'entry' ? [line.subject] : []));
    const changed = (await run<{ consumer: string }>('select consumer from outbox_cursor')).map((row) => row.consumer);
    // Each change once, each of those that were answered, and none that was not made.
    expect([...audited].sort()).toEqual(changed.filter((name) => name.startsWith('change:')).sort());
    expect(new Set(audited).size).toBe(audited.length);
    expect(told.filter((subject) => !audited.includes(subject))).toEqual([]);
    expect(told.length).toBeGreaterThan(240);
  });
});

describe('the audit key', () => {
  it('is made once in a home, kept from others’ eyes, and found again', async () => {
    const home = mkdtempSync(join(tmpdir(), 'tyrum-audit-'));
    try {
      const keys = await Promise.all(Array.from({ length: 5 }, () => openAuditKey(join(home, 'new'))));
      expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
      const path = join(home, 'new', 'audit-key');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const configured = await openAuditKey(home, { reveal: () => readFileSync(path, 'utf8').trim() });
      expect(configured.keyId).toBe(keys[0]?.keyId);
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  it.each(['', 'short', 'A'.repeat(44), `${'A'.repeat(42)}!`])('is not %j', (text) => {
    expect(() => new AuditKey(text)).toThrow('32 bytes as base64url');
  });
});
