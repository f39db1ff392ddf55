import type { Deleted, StateStore, Statement } from '@tyrum/statestore';
import { BLOB_PARTS, type StoredBlob, type SweptBlobStore } from './blob-store';

/** Which of these blobs an artifact has. Takes a JSON list of {tenantId, sha256}. Touches: artifact. */
const findHeldBlobs: Statement = {
  name: 'find-held-blobs',
  postgres: `select distinct a.tenant_id, a.sha256
    from json_to_recordset($1::json) as x("tenantId" uuid, sha256 text)
    join artifact a on a.tenant_id = x."tenantId" and a.sha256 = x.sha256`,
  sqlite: `select distinct a.tenant_id, a.sha256 from jsonb_each(?1) x
    join artifact a on a.tenant_id = x.value ->> 'tenantId' and a.sha256 = x.value ->> 'sha256'`,
};

/**
 * Removes bytes without a row: what retention left behind, and what a crash left between the bytes and their row. They are
 * given `graceMs` from when they were last stored, which must be longer than any step takes from its first artifact to its
 * commit. One of the store's parts at a time: a look at all files at once would be long for the disk.
 */
export class BlobRetention {
  private part = 0;

  constructor(
    private readonly store: StateStore,
    private readonly blobs: SweptBlobStore,
    private readonly graceMs: number,
  ) {}

  /** Looks through the next part, `limit` rows a question. */
  async step(limit: number): Promise<{ readonly deleted: Deleted; readonly more: boolean }> {
    let deleted = await this.blobs.clearDebris(this.graceMs);
    let batch: StoredBlob[] = [];
    for await (const blob of this.blobs.listOlder(this.part, this.graceMs)) {
      batch.push(blob);
      if (batch.length < limit) continue;
      deleted += await this.removeUnheld(batch);
      batch = [];
    }
    deleted += await this.removeUnheld(batch);
    this.part = (this.part + 1) % BLOB_PARTS;
    return { deleted: { blob: deleted }, more: false };
  }

  private async removeUnheld(blobs: readonly StoredBlob[]): Promise<number> {
    if (blobs.length === 0) return 0;
    const rows = await this.store.read((db) =>
      db.query<{ tenant_id: string; sha256: string }>(findHeldBlobs, [JSON.stringify(blobs.filter(isOfTenant))]),
    );
    const held = new Set(rows.map(({ tenant_id, sha256 }) => `${tenant_id}/${sha256}`));
    let removed = 0;
    for (const blob of blobs) {
      if (held.has(`${blob.tenantId}/${blob.sha256}`) || !isOfTenant(blob)) continue;
      if (await this.blobs.deleteOlder(blob, this.graceMs)) removed += 1;
    }
    return removed;
  }
}

/** What lies beside the tenants' folders is not ours to remove. */
function isOfTenant({ tenantId }: StoredBlob): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tenantId);
}
