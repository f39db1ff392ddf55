import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { portable, type StateStore } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { walkOldArtifacts } from './artifact-retention';
import { ArtifactStore } from './artifact-store';
import { DirectoryBlobStore } from './directory-blob-store';
import { pruneArtifactRooms, storedBytesByTenant, StoredBytesExceededError } from './stored-bytes';

const SIZE = 1_000;
const OTHER_TENANT = '00000000-0000-4000-8000-000000000002';

describeOnBothDialects('stored bytes', (stores) => {
  let root: string;
  let store: StateStore;
  let artifacts: ArtifactStore;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tyrum-stored-'));
    store = await stores().open();
    artifacts = over(store);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const over = (opened: StateStore, maxStoredBytes?: number) =>
    new ArtifactStore(opened, new DirectoryBlobStore(root), {
      newId: randomUUID,
      nowMs: () => Date.now(),
      ...(maxStoredBytes === undefined ? {} : { maxStoredBytes }),
    });
  const upload = (tenantId = DEFAULT_TENANT_ID) =>
    ({ tenantId, uploadedBy: randomUUID(), kind: 'file', filename: 'x' }) as const;
  const allow = (max_stored_bytes: number | null) =>
    store.transaction((tx) => tx.records(Tenants).update({ tenant_id: DEFAULT_TENANT_ID }, { max_stored_bytes }));
  const stored = async (tenantId = DEFAULT_TENANT_ID) => (await store.read(storedBytesByTenant)).get(tenantId) ?? 0;
  const files = (tenantId = DEFAULT_TENANT_ID): string[] => {
    const found = readdirSync(join(root, tenantId), { recursive: true, withFileTypes: true });
    return found.filter((file) => file.isFile()).map(({ name }) => name);
  };
  const run = (text: string) => store.execute(portable('test', text));
  const rooms = async () => (await run('select artifact_id from artifact_room')).length;

  it('are counted as artifacts come and go, by tenant, whether or not there is a quota', async () => {
    await artifacts.create(upload(), randomBytes(SIZE));
    const same = randomBytes(SIZE);
    for (let i = 0; i < 2; i += 1) await artifacts.create(upload(), same);
    await artifacts.create(upload(OTHER_TENANT), randomBytes(SIZE / 2));
    expect([await stored(), await stored(OTHER_TENANT)]).toEqual([3 * SIZE, SIZE / 2]);
    const undone = store.transaction(async (tx) => {
      await artifacts.insert(tx, await artifacts.putBytes(upload(), randomBytes(SIZE)));
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    expect(await stored()).toBe(3 * SIZE);
    await run(`update artifact set created_at = 0 where size_bytes = ${SIZE}`);
    await walkOldArtifacts(store, 60_000).step(2);
    expect(await stored()).toBe(SIZE);
    await run('delete from artifact');
    expect([await stored(), await stored(OTHER_TENANT)]).toEqual([0, 0]);
  });

  it('are never more than the quota, however many come at once over however many processes', async () => {
    await allow(10 * SIZE + SIZE / 2);
    const processes = [artifacts, ...(await Promise.all([1, 2].map(async () => over(await stores().open()))))];
    const outcomes = await Promise.allSettled(
      processes.flatMap((process) => Array.from({ length: 10 }, () => process.create(upload(), randomBytes(SIZE)))),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(20);
    for (const reason of refused) expect(reason).toBeInstanceOf(StoredBytesExceededError);
    expect([await stored(), await rooms()]).toEqual([10 * SIZE, 0]);
    // Neither in their place nor on their way there.
    expect(files()).toHaveLength(10);
    // What is left fits, and not a byte more.
    await expect(artifacts.create(upload(), randomBytes(SIZE / 2 + 1))).rejects.toThrow('10000 of 10500 bytes');
    await artifacts.create(upload(), randomBytes(SIZE / 2));
    expect(await stored()).toBe(10 * SIZE + SIZE / 2);
    await run('delete from artifact');
    await artifacts.create(upload(), randomBytes(SIZE));
    expect(await stored()).toBe(SIZE);
  });

  it('are refused before a byte is read where it is known how many come, else where the room ends', async () => {
    await allow(2 * SIZE);
    await artifacts.create(upload(), randomBytes(SIZE));
    let read = 0;
    async function* coming(chunks: number) {
      for (let i = 0; i < chunks; i += 1) {
        read += 100;
        yield await Promise.resolve(randomBytes(100));
      }
    }
    const announced = artifacts.putBytes(upload(), coming(100), { size: 10_000 });
    await expect(announced).rejects.toThrow(StoredBytesExceededError);
    expect(read).toBe(0);
    await expect(artifacts.putBytes(upload(), coming(100))).rejects.toThrow(StoredBytesExceededError);
    expect(read).toBe(SIZE + 100);
    expect([await stored(), files().length]).toEqual([SIZE, 1]);
    await expect(artifacts.putBytes(upload(), coming(100), { maxBytes: 300 })).rejects.toThrow('at most 300 bytes');
    expect((await artifacts.putBytes(upload(), coming(10))).size_bytes).toBe(SIZE);
  });

  it('leave room for what is being stored, which comes back when that is given up or its process died', async () => {
    await allow(2 * SIZE);
    const [given, died] = [
      await artifacts.putBytes(upload(), randomBytes(SIZE)),
      await artifacts.putBytes(upload(), randomBytes(SIZE)),
    ];
    await expect(artifacts.create(upload(), randomBytes(1))).rejects.toThrow(StoredBytesExceededError);
    expect(await stored()).toBe(2 * SIZE);
    await artifacts.abandon(given);
    expect(await stored()).toBe(SIZE);
    expect(await pruneArtifactRooms(store, 10)).toBe(0);
    await run('update artifact_room set expires_at = 0');
    expect(await pruneArtifactRooms(store, 10)).toBe(1);
    expect(await stored()).toBe(0);
    // Not dead after all: it counts like any that comes now.
    await store.transaction((tx) => artifacts.insert(tx, died));
    expect(await stored()).toBe(SIZE);
    const late = await artifacts.putBytes(upload(), randomBytes(SIZE));
    await run('delete from artifact_room');
    await allow(SIZE);
    await expect(store.transaction((tx) => artifacts.insert(tx, late))).rejects.toThrow(StoredBytesExceededError);
    expect(await stored()).toBe(SIZE);
  });

  it('are bounded for everybody by the installation, and for a tenant by its own quota instead', async () => {
    artifacts = over(store, SIZE);
    await expect(artifacts.create(upload(OTHER_TENANT), randomBytes(SIZE + 1))).rejects.toThrow(
      StoredBytesExceededError,
    );
    await artifacts.create(upload(OTHER_TENANT), randomBytes(SIZE));
    await allow(3 * SIZE);
    await artifacts.create(upload(), randomBytes(3 * SIZE));
    await allow(null);
    // What is there stays; nothing more comes.
    await expect(artifacts.create(upload(), randomBytes(1))).rejects.toThrow('3000 of 1000 bytes');
    expect(await stored()).toBe(3 * SIZE);
  });
});
