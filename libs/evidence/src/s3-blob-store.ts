import { randomUUID } from 'node:crypto';
import { mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isFull, writeDraft } from './blob-draft';
import { BlobMismatchError, BlobStoreFullError, MAX_BLOB_BYTES } from './blob-store';
import { ignoreMissing } from './directory-layout';
import { folderOf } from './s3-layout';
import type { S3Object, S3Objects } from './s3-objects';
import { verified } from './verified-bytes';
import type { BlobInfo, BlobStore, ByteRange, Bytes, ExpectedBlob, OpenBlob } from './blob-store';

/**
 * What was stored so recently is not stored again. Far below the time that bytes without a row are given: whoever relies on
 * what is there already has committed its row long before a sweep looks at it.
 */
const REUSED_MS = 60 * 60_000;
/** What a crash left of uploads on this disk. */
const DEBRIS_MS = 24 * 60 * 60_000;

/**
 * Blobs as objects in a bucket: `<tenant>/<first two hex digits>/<sha256>/<uuid>`.
 *
 * A bucket can neither rename nor delete "unless it was stored again meanwhile". So nothing is ever stored again in the same
 * place: each `put` has an object of its own, and a sweep deletes the very objects it saw were old. Bytes pass through a file
 * here, because their hash, which names them, is known at their end only; what breaks off never reaches the bucket.
 */
export class S3BlobStore implements BlobStore {
  private cleared: Promise<void> | undefined;

  /** @param spool a folder of this process' disk; created when needed */
  constructor(
    private readonly objects: S3Objects,
    private readonly spool: string,
    private readonly maxBytes: number = MAX_BLOB_BYTES,
  ) {}

  async put(tenantId: string, bytes: Bytes, expected: ExpectedBlob = {}): Promise<BlobInfo> {
    folderOf(tenantId);
    this.cleared ??= this.clearDebris();
    await this.cleared;
    const draft = join(this.spool, randomUUID());
    try {
      const info = await writeDraft(draft, bytes, Math.min(this.maxBytes, expected.maxBytes ?? Infinity));
      if (expected.sha256 !== undefined && info.sha256 !== expected.sha256) throw new BlobMismatchError(info.sha256);
      await expected.admit?.(info);
      const folder = folderOf(tenantId, info.sha256);
      const newest = await this.newest(folder);
      const isThere = newest?.size === info.size && newest.storedAt > Date.now() - REUSED_MS;
      if (!isThere) await this.objects.put(`${folder}${randomUUID()}`, draft, info);
      return info;
    } catch (error) {
      throw isFull(error) ? new BlobStoreFullError(error) : error;
    } finally {
      await unlink(draft).catch(ignoreMissing);
    }
  }

  async open(tenantId: string, sha256: string, range?: ByteRange): Promise<OpenBlob | undefined> {
    const object = await this.newest(folderOf(tenantId, sha256));
    if (!object) return undefined;
    const { key, size } = object;
    const stream = await this.objects.get(key, range && insideOf(size, range));
    return stream && { size, stream: range ? stream : verified(stream, sha256) };
  }

  async delete(tenantId: string, sha256: string): Promise<void> {
    for await (const { key } of this.objects.list(folderOf(tenantId, sha256))) await this.objects.delete(key);
  }

  private async newest(folder: string): Promise<S3Object | undefined> {
    let newest: S3Object | undefined;
    for await (const object of this.objects.list(folder)) {
      if (!newest || object.storedAt >= newest.storedAt) newest = object;
    }
    return newest;
  }

  /** Once a process: what an earlier one that was killed left on this disk. */
  private async clearDebris(): Promise<void> {
    await mkdir(this.spool, { recursive: true, mode: 0o700 });
    const before = Date.now() - DEBRIS_MS;
    for (const name of await readdir(this.spool)) {
      const path = join(this.spool, name);
      const found = await stat(path).catch(ignoreMissing);
      if (found && found.mtimeMs < before) await unlink(path).catch(ignoreMissing);
    }
  }
}

/** @throws {RangeError} */
function insideOf(size: number, { start, end = size - 1 }: ByteRange): Required<ByteRange> {
  const inside = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && start < size;
  if (!inside) throw new RangeError(`bytes ${start}-${end} are not inside ${size}`);
  return { start, end: Math.min(end, size - 1) };
}
