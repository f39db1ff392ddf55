import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, unlink, utimes, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { isFull, writeDraft } from './blob-draft';
import { BlobMismatchError, BlobStoreFullError, MAX_BLOB_BYTES } from './blob-store';
import { verified } from './verified-bytes';
import { blobPath, ignoreMissing, INCOMING, tenantPath } from './directory-layout';
import type { BlobInfo, BlobStore, ByteRange, Bytes, ExpectedBlob, OpenBlob } from './blob-store';

/**
 * Blobs as files: `<root>/<tenant>/<first two hex digits>/<sha256>`.
 *
 * A blob is written beside its place, flushed, and renamed into it, and the directory is flushed too, so that a file
 * under a hash is whole or absent whatever crashes when. Two writers of the same bytes race harmlessly: both rename
 * equal content.
 */
export class DirectoryBlobStore implements BlobStore {
  /**
   * @param root usually `<home>/artifacts`; created when needed
   * @param maxBytes the largest blob that is taken
   */
  constructor(
    private readonly root: string,
    private readonly maxBytes: number = MAX_BLOB_BYTES,
  ) {}

  async put(tenantId: string, bytes: Bytes, expected: ExpectedBlob = {}): Promise<BlobInfo> {
    const incoming = join(tenantPath(this.root, tenantId), INCOMING);
    const draft = join(incoming, randomUUID());
    try {
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      const info = await writeDraft(draft, bytes, Math.min(this.maxBytes, expected.maxBytes ?? Infinity));
      if (expected.sha256 !== undefined && info.sha256 !== expected.sha256) throw new BlobMismatchError(info.sha256);
      await expected.admit?.(info);
      await this.place(draft, blobPath(this.root, tenantId, info.sha256));
      return info;
    } catch (error) {
      await unlink(draft).catch(ignoreMissing);
      throw isFull(error) ? new BlobStoreFullError(error) : error;
    }
  }

  async open(tenantId: string, sha256: string, range?: ByteRange): Promise<OpenBlob | undefined> {
    const file = await open(blobPath(this.root, tenantId, sha256), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      ignoreMissing,
    );
    if (!file) return undefined;
    try {
      const { size } = await file.stat();
      return { size, stream: range ? partOf(file, size, range) : verified(file.createReadStream(), sha256) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async delete(tenantId: string, sha256: string): Promise<void> {
    await unlink(blobPath(this.root, tenantId, sha256)).catch(ignoreMissing);
  }

  private async place(draft: string, path: string): Promise<void> {
    // Stored again: a sweep that is about to remove it sees by its time that it is wanted.
    if (await touch(path)) return unlink(draft);
    const shard = dirname(path);
    const created = await mkdir(shard, { recursive: true, mode: 0o700 });
    await rename(draft, path);
    await syncDirectory(shard);
    if (created !== undefined) await syncDirectory(dirname(shard));
  }
}

function partOf(file: FileHandle, size: number, { start, end = size - 1 }: ByteRange): Readable {
  const inside = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && start < size;
  if (!inside) throw new RangeError(`bytes ${start}-${end} are not inside ${size}`);
  return file.createReadStream({ start, end: Math.min(end, size - 1) });
}

/** False where there is no such file. */
async function touch(path: string): Promise<boolean> {
  const now = new Date();
  try {
    await utimes(path, now, now);
    return true;
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return false;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
