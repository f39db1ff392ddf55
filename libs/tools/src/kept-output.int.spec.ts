import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactStore, DirectoryBlobStore } from '@tyrum/evidence';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { openStateStore, type StateStore } from '@tyrum/statestore';
import { startOwnPostgres } from '@tyrum/test-services';
import { fileBytes, keepOutput } from './kept-output';

const about = { tenantId: DEFAULT_TENANT_ID, turnId: randomUUID(), stepIndex: 0, kind: 'log', filename: 'x' } as const;
const folder = mkdtempSync(join(tmpdir(), 'tyrum-kept-'));
afterAll(() => rmSync(folder, { recursive: true }));

function over(store: StateStore, root: string): ArtifactStore {
  return new ArtifactStore(store, new DirectoryBlobStore(root), { newId: randomUUID, nowMs: () => Date.now() });
}

it('waits for a database that is away', async () => {
  const server = await startOwnPostgres({ fsync: 'off' });
  const store = await openStateStore({ kind: 'postgres', url: server.url }, { poolSize: 1 });
  try {
    const artifacts = over(store, join(folder, 'artifacts'));
    await server.stopImmediate();
    const kept = keepOutput(artifacts, about, () => Buffer.from('output'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.start();
    const result = await kept;
    expect(result).toEqual({ artifacts: await artifacts.listByTurn(DEFAULT_TENANT_ID, about.turnId) });
    expect(result.artifacts).toHaveLength(1);
  } finally {
    await store.close();
    await server.stop();
  }
}, 60_000);

it('says that the tenant may store no more, and keeps nothing', async () => {
  const store = await openStateStore({ kind: 'sqlite', path: join(folder, 'bounded.db') });
  try {
    const root = join(folder, 'bounded');
    const artifacts = new ArtifactStore(store, new DirectoryBlobStore(root), {
      newId: randomUUID,
      nowMs: () => Date.now(),
      maxStoredBytes: 5,
    });
    expect(await keepOutput(artifacts, about, () => Buffer.from('output'))).toEqual({
      artifact_error: 'stored_bytes_exceeded',
    });
    expect(existsSync(root)).toBe(false);
  } finally {
    await store.close();
  }
});

it('says that there was no room, and leaves no file open', async () => {
  const store = await openStateStore({ kind: 'sqlite', path: join(folder, 'tyrum.db') });
  try {
    const spool = join(folder, 'spool');
    writeFileSync(spool, 'output');
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const kept = keepOutput(over(store, '/dev/null/artifacts'), about, () => fileBytes(spool));
    expect(await kept).toEqual({ artifact_error: 'ENOTDIR' });
    expect(open()).toBe(before);
  } finally {
    await store.close();
  }
});
