import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobStoreFullError } from './blob-store';
import { DirectoryBlobStore } from './directory-blob-store';
import { DirectoryBlobSweep } from './directory-blob-sweep';
import { describeBlobStore } from './testing/blob-store-conformance';
import { SmallDisk } from './testing/small-disk';

const TENANT = '00000000-0000-4000-8000-000000000001';
const roots: string[] = [];

function newRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'tyrum-blobs-'));
  roots.push(root);
  return root;
}

const filesIn = (root: string) =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })));

describeBlobStore('a directory', () => {
  const root = newRoot();
  const pathOf = (tenantId: string, sha256: string) => join(root, tenantId, sha256.slice(0, 2), sha256);
  return Promise.resolve({
    blobs: new DirectoryBlobStore(root, 1_000_000),
    sweep: new DirectoryBlobSweep(root),
    damage: (tenantId: string, sha256: string, bytes: Buffer) =>
      Promise.resolve(writeFileSync(pathOf(tenantId, sha256), bytes)),
    age: (tenantId: string, sha256: string, ms: number) => {
      const then = new Date(Date.now() - ms);
      return Promise.resolve(utimesSync(pathOf(tenantId, sha256), then, then));
    },
    everything: () => Promise.resolve(filesIn(root)),
  });
});

describe('DirectoryBlobStore', () => {
  it('lets nobody else on the machine read them', async () => {
    const root = newRoot();
    await new DirectoryBlobStore(root).put(TENANT, Buffer.from('x'));
    for (const file of filesIn(root)) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(root, TENANT)).mode & 0o777).toBe(0o700);
  });

  it('says when the disk is full, and leaves nothing there', async () => {
    const disk = await SmallDisk.mount(newRoot());
    try {
      const small = new DirectoryBlobStore(disk.path, 10_000_000);
      await expect(small.put(TENANT, randomBytes(4_000_000))).rejects.toThrow(BlobStoreFullError);
      expect(filesIn(disk.path)).toEqual([]);
      await small.put(TENANT, randomBytes(100_000));
    } finally {
      await disk.unmount();
    }
  });
});
