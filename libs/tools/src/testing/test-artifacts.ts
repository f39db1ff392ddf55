import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactStore, DirectoryBlobStore } from '@tyrum/evidence';
import { openStateStore } from '@tyrum/statestore';

/** An artifact store on a SQLite file and a folder of its own. @param root where the bytes go, if not there */
export async function openTestArtifacts(
  root?: string,
): Promise<{ readonly artifacts: ArtifactStore; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-artifacts-'));
  const store = await openStateStore({ kind: 'sqlite', path: join(folder, 'tyrum.db') });
  const artifacts = new ArtifactStore(store, new DirectoryBlobStore(root ?? join(folder, 'artifacts')), {
    newId: randomUUID,
    nowMs: () => Date.now(),
  });
  return {
    artifacts,
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
