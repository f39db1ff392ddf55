import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  BlobCorruptError,
  BlobMismatchError,
  BlobTooLargeError,
  type BlobStore,
  type SweptBlobStore,
} from '../blob-store';

/** A blob store that a test may look behind. */
export interface TestedBlobs {
  /** Takes 1,000,000 bytes at most. */
  readonly blobs: BlobStore;
  readonly sweep: SweptBlobStore;
  /** Puts other bytes in the place of a blob's. */
  damage(tenantId: string, sha256: string, bytes: Buffer): Promise<void>;
  /** Makes a blob look as if it had been stored so long ago. */
  age(tenantId: string, sha256: string, ms: number): Promise<void>;
  /** What is stored at all, drafts included, as names. */
  everything(): Promise<string[]>;
}

const DAY_MS = 24 * 60 * 60_000;

/** What every blob store keeps to. @param open one with nothing in it */
export function describeBlobStore(name: string, open: () => Promise<TestedBlobs>): void {
  describe(`${name}: a blob store`, () => {
    let tested: TestedBlobs;
    let blobs: BlobStore;
    let tenant: string;

    beforeEach(async () => {
      tested = await open();
      ({ blobs } = tested);
      tenant = randomUUID();
    });

    const read = async (sha256: string, range?: { start: number; end?: number }) => {
      const blob = await blobs.open(tenant, sha256, range);
      return blob && buffer(blob.stream);
    };
    const hashOf = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

    it('stores bytes and streams under their hash, twice at once if need be', async () => {
      const bytes = randomBytes(300_000);
      const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 70_000), bytes.subarray(70_000)];
      const [one, two] = await Promise.all([blobs.put(tenant, bytes), blobs.put(tenant, Readable.from(pieces))]);
      expect(one).toEqual({ sha256: hashOf(bytes), size: 300_000 });
      expect(two).toEqual(one);
      expect(await read(one.sha256)).toEqual(bytes);
      expect(await read((await blobs.put(tenant, Buffer.alloc(0))).sha256)).toEqual(Buffer.alloc(0));
    });

    it('stores once what was stored a moment ago', async () => {
      await blobs.put(tenant, Buffer.from('same'));
      const before = await tested.everything();
      await blobs.put(tenant, Buffer.from('same'));
      expect(await tested.everything()).toEqual(before);
    });

    it('reads ranges as HTTP counts them', async () => {
      const { sha256 } = await blobs.put(tenant, Buffer.from('0123456789'));
      expect(String(await read(sha256, { start: 2, end: 4 }))).toBe('234');
      expect(String(await read(sha256, { start: 7 }))).toBe('789');
      expect(String(await read(sha256, { start: 0, end: 99 }))).toBe('0123456789');
      await expect(read(sha256, { start: 10 })).rejects.toThrow(RangeError);
      await expect(read(sha256, { start: 5, end: 4 })).rejects.toThrow(RangeError);
    });

    it('never hands out the last piece of damaged bytes', async () => {
      const bytes = randomBytes(500_000);
      const { sha256 } = await blobs.put(tenant, bytes);
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
      await tested.damage(tenant, sha256, damaged);
      const { stream } = (await blobs.open(tenant, sha256)) ?? {};
      let come = 0;
      const reading = async () => {
        for await (const chunk of stream ?? []) come += (chunk as Buffer).length;
      };
      await expect(reading()).rejects.toThrow(BlobCorruptError);
      expect(come).toBeGreaterThan(0);
      expect(come).toBeLessThan(bytes.length);
    });

    it('refuses what is too large, or is not what was announced, or fails, and keeps nothing of it', async () => {
      const sha256 = hashOf('announced');
      await expect(blobs.put(tenant, Buffer.alloc(1_000_001))).rejects.toThrow(BlobTooLargeError);
      await expect(blobs.put(tenant, Buffer.from('others'), { sha256 })).rejects.toThrow(BlobMismatchError);
      await expect(blobs.put(tenant, Buffer.from('announced'), { maxBytes: 8 })).rejects.toThrow(BlobTooLargeError);
      await expect(blobs.put(tenant, failing())).rejects.toThrow('source failed');
      expect(await tested.everything()).toEqual([]);
      expect((await blobs.put(tenant, Buffer.from('announced'), { sha256, maxBytes: 9 })).sha256).toBe(sha256);
    });

    it('keeps tenants apart and takes no path for a name', async () => {
      const { sha256 } = await blobs.put(tenant, Buffer.from('x'));
      expect(await blobs.open(randomUUID(), sha256)).toBeUndefined();
      await expect(blobs.open(tenant, '../../etc/passwd')).rejects.toThrow(TypeError);
      await expect(blobs.put('..', Buffer.from('x'))).rejects.toThrow(TypeError);
    });

    it('deletes, twice if need be', async () => {
      const { sha256 } = await blobs.put(tenant, Buffer.from('x'));
      await blobs.delete(tenant, sha256);
      await blobs.delete(tenant, sha256);
      expect(await read(sha256)).toBeUndefined();
    });

    it('has a sweep find and remove what is old, and leave what was stored again', async () => {
      const listed = async (): Promise<string[]> => {
        const found: string[] = [];
        // Only where there is something to be found: a part is a question, or several, over the network.
        for (const part of new Set(['old', 'renewed', 'young'].map((text) => parseInt(hashOf(text).slice(0, 2), 16)))) {
          for await (const { tenantId, sha256 } of tested.sweep.listOlder(part, DAY_MS)) {
            if (tenantId === tenant) found.push(sha256);
          }
        }
        return found.sort();
      };
      const put = async (text: string) => (await blobs.put(tenant, Buffer.from(text))).sha256;
      const [gone, renewed] = [await put('old'), await put('renewed')];
      await put('young');
      for (const sha256 of [gone, renewed]) await tested.age(tenant, sha256, 2 * DAY_MS);
      expect(await listed()).toEqual([gone, renewed].sort());
      await put('renewed');
      expect(await tested.sweep.deleteOlder({ tenantId: tenant, sha256: gone }, DAY_MS)).toBe(true);
      expect(await tested.sweep.deleteOlder({ tenantId: tenant, sha256: gone }, DAY_MS)).toBe(false);
      expect(await tested.sweep.deleteOlder({ tenantId: tenant, sha256: renewed }, DAY_MS)).toBe(false);
      expect(await read(gone)).toBeUndefined();
      expect(String(await read(renewed))).toBe('renewed');
      expect(await listed()).toEqual([]);
    });
  });
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('some');
  await Promise.resolve();
  throw new Error('source failed');
}
