import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { BlobTooLargeError, type BlobInfo, type Bytes } from './blob-store';

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
