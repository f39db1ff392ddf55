import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { ArtifactStore, type NewArtifact } from './artifact-store';
import { DirectoryBlobStore } from './directory-blob-store';

const OTHER_TENANT = '00000000-0000-4000-8000-000000000002';

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

  it('creates an artifact in its wire shape and gives its bytes back', async () => {
    const ref = await artifacts.create(log(randomUUID()), Buffer.from('hello'));
    expect(ref).toEqual({
      artifact_id: expect.any(String),
      uri: `artifact://${ref.artifact_id}`,
      external_url: `/v1/artifacts/${ref.artifact_id}`,
      kind: 'log',
      media_class: 'document',
      created_at: '2026-01-01T00:00:00.000Z',
      filename: 'output.log',
      mime_type: 'text/plain',
      size_bytes: 5,
      sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      labels: ['cli'],
    });
    const open = await artifacts.open(DEFAULT_TENANT_ID, ref.artifact_id);
    expect(open?.artifact).toEqual(ref);
    expect(await text(open?.stream ?? Readable.from([]))).toBe('hello');
    const part = await artifacts.open(DEFAULT_TENANT_ID, ref.artifact_id, { start: 1, end: 2 });
    expect(await text(part?.stream ?? Readable.from([]))).toBe('el');
    expect(await artifacts.find(DEFAULT_TENANT_ID, ref.artifact_id)).toEqual(ref);
  });

  it('lists a turn’s artifacts in order, and nobody else’s', async () => {
    const turnId = randomUUID();
    const mine = [
      await artifacts.create(log(turnId), Buffer.from('1')),
      await artifacts.create(log(turnId), Buffer.from('2')),
    ];
    await artifacts.create(log(randomUUID()), Buffer.from('3'));
    await artifacts.create(log(turnId, { tenantId: OTHER_TENANT }), Buffer.from('4'));
    expect(await artifacts.listByTurn(DEFAULT_TENANT_ID, turnId)).toEqual(mine);
  });

  it('hides an artifact from another tenant', async () => {
    const { artifact_id } = await artifacts.create(log(randomUUID()), Buffer.from('x'));
    expect(await artifacts.open(OTHER_TENANT, artifact_id)).toBeUndefined();
    expect(await artifacts.find(OTHER_TENANT, artifact_id)).toBeUndefined();
    expect(await artifacts.open(DEFAULT_TENANT_ID, randomUUID())).toBeUndefined();
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

  it('keeps folders and control characters out of the name', async () => {
    const named = (filename: string) => artifacts.create(log(randomUUID(), { filename }), Buffer.from('x'));
    expect((await named('../../a\r\nb.txt')).filename).toBe('ab.txt');
    expect((await named('..\\')).filename).toBe('artifact');
  });
});
