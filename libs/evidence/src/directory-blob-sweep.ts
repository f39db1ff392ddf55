import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredBlob, SweptBlobStore } from './blob-store';
import { blobPath, ignoreMissing, INCOMING, LEAVING, tenantPath } from './directory-layout';

/**
 * Removes blobs of a `DirectoryBlobStore` that nobody has a row for.
 *
 * Whoever stores the bytes a blob has already keeps the file and renews its time, and only later commits the row that
 * relies on it. So a blob is first moved aside and then asked for its time: renewed before the move, it shows and the blob
 * goes back; after the move, its writer finds no file and writes one.
 */
export class DirectoryBlobSweep implements SweptBlobStore {
  constructor(private readonly root: string) {}

  async *listOlder(part: number, olderThanMs: number): AsyncIterable<StoredBlob> {
    const before = Date.now() - olderThanMs;
    const prefix = part.toString(16).padStart(2, '0');
    for (const tenantId of await this.tenants()) {
      const folder = join(tenantPath(this.root, tenantId), prefix);
      for (const sha256 of await namesIn(folder)) {
        if (/^[0-9a-f]{64}$/.test(sha256) && (await isOlder(join(folder, sha256), before))) yield { tenantId, sha256 };
      }
    }
  }

  async deleteOlder({ tenantId, sha256 }: StoredBlob, olderThanMs: number): Promise<boolean> {
    const path = blobPath(this.root, tenantId, sha256);
    const leaving = join(tenantPath(this.root, tenantId), LEAVING);
    await mkdir(leaving, { recursive: true, mode: 0o700 });
    const aside = join(leaving, `${sha256}.${randomUUID()}`);
    try {
      await rename(path, aside);
    } catch (error) {
      ignoreMissing(error as NodeJS.ErrnoException);
      return false;
    }
    if (await isOlder(aside, Date.now() - olderThanMs)) {
      await unlink(aside).catch(ignoreMissing);
      return true;
    }
    await rename(aside, path);
    return false;
  }

  async clearDebris(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs;
    let cleared = 0;
    for (const tenantId of await this.tenants()) {
      const folder = join(tenantPath(this.root, tenantId), INCOMING);
      for (const name of await namesIn(folder)) {
        if (!(await isOlder(join(folder, name), before))) continue;
        await unlink(join(folder, name)).catch(ignoreMissing);
        cleared += 1;
      }
      await this.putBack(tenantId);
    }
    return cleared;
  }

  /** A sweep that died between the move and the look: its blobs go back and are looked at like any other. */
  private async putBack(tenantId: string): Promise<void> {
    const folder = join(tenantPath(this.root, tenantId), LEAVING);
    for (const name of await namesIn(folder)) {
      const sha256 = name.slice(0, 64);
      await rename(join(folder, name), blobPath(this.root, tenantId, sha256)).catch(ignoreMissing);
    }
  }

  private async tenants(): Promise<string[]> {
    return (await namesIn(this.root)).filter((name) => /^[0-9A-Za-z-]{1,64}$/.test(name));
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    return [];
  }
}

async function isOlder(path: string, before: number): Promise<boolean> {
  const found = await stat(path).catch(ignoreMissing);
  return found !== undefined && found.isFile() && found.mtimeMs < before;
}
