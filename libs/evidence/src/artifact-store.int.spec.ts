import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { storedEvents } from '@tyrum/outbox/testing';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import type { NewArtifact } from './artifact-record';
import { ArtifactStore } from './artifact-store';
import { BlobCorruptError, BlobMissingError } from './blob-store';
import { DirectoryBlobStore } from './directory-blob-store';

const OTHER_TENANT = '00000000-0000-4000-8000-000000000002';
const OURS = { tenantId: DEFAULT_TENANT_ID };

describeOnBothDialects('ArtifactStore', (stores) => {
  let root: string;
  let store: StateStore;
  let artifacts: ArtifactStore;
  let now: number;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tyrum-artifacts-'));
    store = await stores().open();
    now = Date.UTC(2026, 0, 1);
    artifacts = new ArtifactStore(store, new DirectoryBlobStore(root), { newId: randomUUID, nowMs: () => now++ });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const log = (turnId: string, fields: Partial<NewArtifact> = {}): NewArtifact => ({
    tenantId: DEFAULT_TENANT_ID,
    turnId,
    stepIndex: 3,
    kind: 'log',
    filename: 'output.log',
    mimeType: 'text/plain',
    labels: ['cli'],
    ...fields,
  });

  const events = () => store.read(storedEvents);

  it('creates an artifact in its wire shape and gives its bytes back', async () => {
    const ref = await artifacts.create(log(randomUUID()), Buffer.from('hello'));
    expect(ref).toEqual({
      artifact_id: expect.any(String),
      uri: `artifact://${ref.artifact_id}`,
      external_url: `/v1/artifacts/${ref.artifact_id}/content`,
      kind: 'log',
      media_class: 'document',
      created_at: '2026-01-01T00:00:00.000Z',
      filename: 'output.log',
      mime_type: 'text/plain',
      size_bytes: 5,
      sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      labels: ['cli'],
    });
    const open = await artifacts.open(OURS, ref.artifact_id);
    expect(open?.artifact).toEqual(ref);
    expect(await text(open?.stream ?? Readable.from([]))).toBe('hello');
    const part = await artifacts.open(OURS, ref.artifact_id, { start: 1, end: 2 });
    expect(await text(part?.stream ?? Readable.from([]))).toBe('el');
    expect(await artifacts.find(OURS, ref.artifact_id)).toEqual(ref);
  });

  it('lists a turn’s artifacts, newest first, and nobody else’s', async () => {
    const turnId = randomUUID();
    const mine = [
      await artifacts.create(log(turnId), Buffer.from('1')),
      await artifacts.create(log(turnId), Buffer.from('2')),
    ].reverse();
    await artifacts.create(log(randomUUID()), Buffer.from('3'));
    await artifacts.create(log(turnId, { tenantId: OTHER_TENANT }), Buffer.from('4'));
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toEqual(mine);
  });

  it('hides an artifact from another tenant', async () => {
    const { artifact_id } = await artifacts.create(log(randomUUID()), Buffer.from('x'));
    expect(await artifacts.open({ tenantId: OTHER_TENANT }, artifact_id)).toBeUndefined();
    expect(await artifacts.find({ tenantId: OTHER_TENANT }, artifact_id)).toBeUndefined();
    expect(await artifacts.open(OURS, randomUUID())).toBeUndefined();
  });

  it('commits the row with the caller’s transaction, or not at all', async () => {
    const turnId = randomUUID();
    const record = await artifacts.putBytes(log(turnId), Buffer.from('x'));
    const undone = store.transaction(async (tx) => {
      await artifacts.insert(tx, record);
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toEqual([]);
    await store.transaction((tx) => artifacts.insert(tx, record));
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toHaveLength(1);
  });

  it('shows an upload to its uploader alone until it belongs to a turn, and then to the tenant', async () => {
    const [uploader, other, turnId] = [randomUUID(), randomUUID(), randomUUID()];
    const { turnId: _, ...upload } = log(turnId, { uploadedBy: uploader });
    const { artifact_id: id } = await artifacts.create(upload, Buffer.from('x'));
    const seenBy = async (tokenId?: string) => {
      const reader = { ...OURS, ...(tokenId === undefined ? {} : { tokenId }) };
      const [found, listed] = [await artifacts.find(reader, id), await artifacts.readable(reader, [id, randomUUID()])];
      expect(listed).toEqual(new Set(found ? [id] : []));
      return found !== undefined;
    };
    const theirs = () => artifacts.readable({ tenantId: OTHER_TENANT, tokenId: uploader }, [id]);
    expect([await seenBy(uploader), await seenBy(other), await seenBy()]).toEqual([true, false, false]);
    expect((await theirs()).size).toBe(0);

    await store.transaction((tx) => artifacts.attachIn(tx, OTHER_TENANT, randomUUID(), [id]));
    expect(await seenBy(other)).toBe(false);
    await store.transaction((tx) => artifacts.attachIn(tx, DEFAULT_TENANT_ID, turnId, [id]));
    expect([await seenBy(uploader), await seenBy(other), await seenBy()]).toEqual([true, true, true]);
    expect((await theirs()).size).toBe(0);
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toEqual([await artifacts.find(OURS, id)]);
    // It stays where it belongs.
    await store.transaction((tx) => artifacts.attachIn(tx, DEFAULT_TENANT_ID, randomUUID(), [id]));
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toHaveLength(1);
    expect((await events()).map(({ type, scope }) => [type, scope.kind, scope.id])).toEqual([
      ['artifact.created', 'client', uploader],
      ['artifact.attached', 'turn', turnId],
    ]);
  });

  it('commits the events with the row', async () => {
    const turnId = randomUUID();
    const ref = await artifacts.create(log(turnId), Buffer.from('x'));
    const payloads = (await events()).map(({ type, turnId, payload }) => [type, turnId, payload]);
    expect(payloads).toEqual([
      ['artifact.created', turnId, { artifact: ref }],
      ['artifact.attached', turnId, { artifact: ref, turn_id: turnId }],
    ]);
  });

  it('says when the bytes are gone, or are fewer than they were, before it hands out any', async () => {
    const { artifact_id } = await artifacts.create(log(randomUUID()), Buffer.from('evidence'));
    const [shard] = readdirSync(join(root, DEFAULT_TENANT_ID)).filter((name) => name !== 'incoming');
    const folder = join(root, DEFAULT_TENANT_ID, shard ?? '');
    const [file] = readdirSync(folder);
    writeFileSync(join(folder, file ?? ''), 'evid');
    await expect(artifacts.open(OURS, artifact_id, { start: 0, end: 1 })).rejects.toThrow(BlobCorruptError);
    rmSync(join(folder, file ?? ''));
    await expect(artifacts.open(OURS, artifact_id)).rejects.toThrow(BlobMissingError);
  });

  it('keeps folders and control characters out of the name', async () => {
    const named = (filename: string) => artifacts.create(log(randomUUID(), { filename }), Buffer.from('x'));
    expect((await named('../../a\r\nb.txt')).filename).toBe('ab.txt');
    expect((await named('..\\')).filename).toBe('artifact');
    // Cut in the middle of a character, whose first half no header could carry.
    expect((await named(`${'a'.repeat(254)}\u{1f600}`)).filename).toBe('a'.repeat(254));
  });
});
