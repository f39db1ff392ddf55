import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { BlobMismatchError, BlobTooLargeError, type BlobInfo, type Bytes, type ExpectedBlob } from './blob-store';

/** Writes bytes to a new file, flushed, and says what they are. Whoever asked removes the file when this throws. */
export async function writeDraft(path: string, bytes: Bytes, maxBytes: number): Promise<BlobInfo> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      size += chunk.length;
      if (size > maxBytes) throw new BlobTooLargeError(maxBytes);
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), size };
}

/** What bytes are, for somebody who only wants to know that. @throws {BlobTooLargeError} {BlobMismatchError} */
export async function measureBytes(bytes: Bytes, { maxBytes = Infinity, sha256 }: ExpectedBlob): Promise<BlobInfo> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
    size += chunk.length;
    if (size > maxBytes) throw new BlobTooLargeError(maxBytes);
    hash.update(chunk);
  }
  const found = hash.digest('hex');
  if (sha256 !== undefined && sha256 !== found) throw new BlobMismatchError(found);
  return { sha256: found, size };
}

/** Whether an error says that the disk, its quota, or the largest file it takes is reached. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '');
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, written, chunk.length - written);
    written += bytesWritten;
  }
}
