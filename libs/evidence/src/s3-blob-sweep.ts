import type { StoredBlob, SweptBlobStore } from './blob-store';
import { folderOf, sha256In } from './s3-layout';
import type { S3Objects } from './s3-objects';

/** Removes blobs of an `S3BlobStore` that nobody has a row for: the very objects that were seen to be old. */
export class S3BlobSweep implements SweptBlobStore {
  constructor(private readonly objects: S3Objects) {}

  async *listOlder(part: number, olderThanMs: number): AsyncIterable<StoredBlob> {
    const before = Date.now() - olderThanMs;
    const shard = part.toString(16).padStart(2, '0');
    for (const tenantId of await this.objects.folders()) {
      let last: string | undefined;
      // Objects come in the order of their keys, so those of one blob come together.
      for await (const { key, storedAt } of this.objects.list(`${folderOf(tenantId)}${shard}/`)) {
        const sha256 = sha256In(key);
        if (sha256 === undefined || storedAt >= before || sha256 === last) continue;
        last = sha256;
        yield { tenantId, sha256 };
      }
    }
  }

  async deleteOlder({ tenantId, sha256 }: StoredBlob, olderThanMs: number): Promise<boolean> {
    const before = Date.now() - olderThanMs;
    let [deleted, kept] = [0, 0];
    for await (const { key, storedAt } of this.objects.list(folderOf(tenantId, sha256))) {
      if (storedAt >= before) {
        kept += 1;
        continue;
      }
      await this.objects.delete(key);
      deleted += 1;
    }
    return deleted > 0 && kept === 0;
  }

  /** An upload that breaks off never reaches the bucket. */
  clearDebris(): Promise<number> {
    return Promise.resolve(0);
  }
}
