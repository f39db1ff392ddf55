import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BlobCorruptError, BlobMismatchError, BlobStoreFullError, BlobTooLargeError } from './blob-store';
import { DirectoryBlobStore } from './directory-blob-store';
import { SmallDisk } from './testing/small-disk';

const TENANT = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';

describe('DirectoryBlobStore', () => {
  let root: string;
  let blobs: DirectoryBlobStore;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tyrum-blobs-'));
    blobs = new DirectoryBlobStore(root, 1_000_000);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const pathOf = (sha256: string) => join(root, TENANT, sha256.slice(0, 2), sha256);
  const read = async (sha256: string, range?: { start: number; end?: number }) => {
    const blob = await blobs.open(TENANT, sha256, range);
    return blob && buffer(blob.stream);
  };

  it('stores bytes and streams under their hash, and the same bytes once', async () => {
    const bytes = randomBytes(300_000);
    const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 70_000), bytes.subarray(70_000)];
    const [one, two] = await Promise.all([blobs.put(TENANT, bytes), blobs.put(TENANT, Readable.from(pieces))]);
    expect(one).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), size: 300_000 });
    expect(two).toEqual(one);
    expect(await read(one.sha256)).toEqual(bytes);
    expect(statSync(pathOf(one.sha256)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(root, TENANT, 'incoming'))).toEqual([]);
  });

  it('reads ranges as HTTP counts them', async () => {
    const { sha256 } = await blobs.put(TENANT, Buffer.from('0123456789'));
    expect(String(await read(sha256, { start: 2, end: 4 }))).toBe('234');
    expect(String(await read(sha256, { start: 7 }))).toBe('789');
    expect(String(await read(sha256, { start: 0, end: 99 }))).toBe('0123456789');
    await expect(read(sha256, { start: 10 })).rejects.toThrow(RangeError);
    await expect(read(sha256, { start: 5, end: 4 })).rejects.toThrow(RangeError);
  });

  it('notices damaged bytes', async () => {
    const { sha256 } = await blobs.put(TENANT, Buffer.from('evidence'));
    writeFileSync(pathOf(sha256), 'evidencf');
    await expect(read(sha256)).rejects.toThrow(BlobCorruptError);
  });

  it('never hands out the last piece of damaged bytes', async () => {
    const bytes = randomBytes(500_000);
    const { sha256 } = await blobs.put(TENANT, bytes);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
    writeFileSync(pathOf(sha256), damaged);
    const { stream } = (await blobs.open(TENANT, sha256)) ?? {};
    let read = 0;
    const reading = async () => {
      for await (const chunk of stream ?? []) read += (chunk as Buffer).length;
    };
    await expect(reading()).rejects.toThrow(BlobCorruptError);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(bytes.length);
  });

  it('refuses bytes that are not those that were announced', async () => {
    const sha256 = createHash('sha256').update('announced').digest('hex');
    await expect(blobs.put(TENANT, Buffer.from('others'), { sha256 })).rejects.toThrow(BlobMismatchError);
    await expect(blobs.put(TENANT, Buffer.from('announced'), { maxBytes: 8 })).rejects.toThrow(BlobTooLargeError);
    expect(readdirSync(join(root, TENANT))).toEqual(['incoming']);
    expect(readdirSync(join(root, TENANT, 'incoming'))).toEqual([]);
    expect((await blobs.put(TENANT, Buffer.from('announced'), { sha256, maxBytes: 9 })).sha256).toBe(sha256);
  });

  it('says when the disk is full, and leaves nothing there', async () => {
    const disk = await SmallDisk.mount(root);
    try {
      const small = new DirectoryBlobStore(disk.path, 10_000_000);
      await expect(small.put(TENANT, randomBytes(4_000_000))).rejects.toThrow(BlobStoreFullError);
      expect(readdirSync(join(disk.path, TENANT))).toEqual(['incoming']);
      expect(readdirSync(join(disk.path, TENANT, 'incoming'))).toEqual([]);
      await small.put(TENANT, randomBytes(100_000));
    } finally {
      await disk.unmount();
    }
  });

  it('keeps tenants apart and takes no path for a name', async () => {
    const { sha256 } = await blobs.put(TENANT, Buffer.from('x'));
    expect(await blobs.open(OTHER, sha256)).toBeUndefined();
    await expect(blobs.open(TENANT, '../../etc/passwd')).rejects.toThrow(TypeError);
    await expect(blobs.put('..', Buffer.from('x'))).rejects.toThrow(TypeError);
  });

  it('refuses what is too large and leaves nothing of it, nor of a source that fails', async () => {
    await expect(blobs.put(TENANT, Buffer.alloc(1_000_001))).rejects.toThrow(BlobTooLargeError);
    await expect(blobs.put(TENANT, failing())).rejects.toThrow('source failed');
    expect(readdirSync(join(root, TENANT))).toEqual(['incoming']);
    expect(readdirSync(join(root, TENANT, 'incoming'))).toEqual([]);
  });

  it('deletes, twice if need be', async () => {
    const { sha256 } = await blobs.put(TENANT, Buffer.from('x'));
    await blobs.delete(TENANT, sha256);
    await blobs.delete(TENANT, sha256);
    expect(await read(sha256)).toBeUndefined();
  });
});

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('some');
  await Promise.resolve();
  throw new Error('source failed');
}
