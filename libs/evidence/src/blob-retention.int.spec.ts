import { randomBytes, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { ArtifactStore } from './artifact-store';
import { BLOB_PARTS } from './blob-store';
import { BlobRetention } from './blob-retention';
import { DirectoryBlobStore } from './directory-blob-store';
import { DirectoryBlobSweep } from './directory-blob-sweep';

const GRACE_MS = 24 * 60 * 60 * 1_000;
const OLD = new Date(Date.now() - 2 * GRACE_MS);

describeOnBothDialects('bytes without a row', (stores) => {
  let root: string;
  let store: StateStore;
  let blobs: DirectoryBlobStore;
  let artifacts: ArtifactStore;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tyrum-blobs-'));
    store = await stores().open();
    blobs = new DirectoryBlobStore(root);
    artifacts = new ArtifactStore(store, blobs, { newId: randomUUID, nowMs: () => Date.now() });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const artifact = { tenantId: DEFAULT_TENANT_ID, kind: 'file', filename: 'x' } as const;
  const pathOf = (sha256: string) => join(root, DEFAULT_TENANT_ID, sha256.slice(0, 2), sha256);
  const age = (path: string) => utimesSync(path, OLD, OLD);

  /** The whole store, part by part. */
  async function sweep(swept = new DirectoryBlobSweep(root)): Promise<number> {
    const retention = new BlobRetention(store, swept, GRACE_MS);
    let deleted = 0;
    for (let i = 0; i < BLOB_PARTS; i += 1) deleted += (await retention.step(2)).deleted['blob'] ?? 0;
    return deleted;
  }

  it('go after the grace, and those with a row never', async () => {
    const held = await artifacts.create(artifact, randomBytes(100));
    const orphans = await Promise.all(Array.from({ length: 5 }, () => blobs.put(DEFAULT_TENANT_ID, randomBytes(100))));
    const young = await blobs.put(DEFAULT_TENANT_ID, randomBytes(100));
    for (const { sha256 } of [...orphans, { sha256: held.sha256 ?? '' }]) age(pathOf(sha256));
    expect(await sweep()).toBe(5);
    expect(orphans.map(({ sha256 }) => existsSync(pathOf(sha256)))).toEqual(orphans.map(() => false));
    expect([held.sha256 ?? '', young.sha256].map((sha256) => existsSync(pathOf(sha256)))).toEqual([true, true]);
    await store.execute({ name: 'x', postgres: 'delete from artifact', sqlite: 'delete from artifact' });
    expect(await sweep()).toBe(1);
  });

  it('stay when they are stored again between the look and the removal', async () => {
    const bytes = randomBytes(100);
    const { sha256 } = await blobs.put(DEFAULT_TENANT_ID, bytes);
    age(pathOf(sha256));
    class Interrupted extends DirectoryBlobSweep {
      override async deleteOlder(...args: Parameters<DirectoryBlobSweep['deleteOlder']>): Promise<boolean> {
        await artifacts.create(artifact, bytes);
        return super.deleteOlder(...args);
      }
    }
    expect(await sweep(new Interrupted(root))).toBe(0);
    const open = await blobs.open(DEFAULT_TENANT_ID, sha256);
    expect(open && (await buffer(open.stream))).toEqual(bytes);
  });

  it('go with the uploads that broke off; a sweep that broke off loses nothing', async () => {
    const kept = await artifacts.create(artifact, randomBytes(100));
    const sha256 = kept.sha256 ?? '';
    const home = join(root, DEFAULT_TENANT_ID);
    for (const [name, isOld] of [
      ['old', true],
      ['young', false],
    ] as const) {
      writeFileSync(join(home, 'incoming', name), 'part of it');
      if (isOld) age(join(home, 'incoming', name));
    }
    mkdirSync(join(home, 'leaving'));
    age(pathOf(sha256));
    renameSync(pathOf(sha256), join(home, 'leaving', `${sha256}.${randomUUID()}`));
    expect(await sweep()).toBe(1);
    expect(readdirSync(join(home, 'incoming'))).toEqual(['young']);
    expect(existsSync(pathOf(sha256))).toBe(true);
  });
});
