import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BlobStoreUnavailableError } from './blob-store';
import { openBlobStore, openBlobSweep } from './open-blob-store';
import { S3BlobStore, S3BlobSweep, S3Objects } from './s3';
import { describeBlobStore } from './testing/blob-store-conformance';
import { S3Server } from './testing/s3-server';

const TENANT = '00000000-0000-4000-8000-000000000001';

let server: S3Server;
const spool = mkdtempSync(join(tmpdir(), 'tyrum-spool-'));
const opened: S3Objects[] = [];

beforeAll(async () => void (server = await S3Server.start()));
afterAll(async () => {
  for (const objects of opened) objects.close();
  await server.stop();
  rmSync(spool, { recursive: true, force: true });
});

function newObjects(endpoint = server.place.endpoint): S3Objects {
  const objects = new S3Objects({ ...server.place, endpoint });
  opened.push(objects);
  return objects;
}

/** The files behind a tenant's objects, or behind one blob's. */
function filesOf(tenantId: string, sha256 = ''): string[] {
  return readdirSync(server.folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.startsWith(tenantId) && path.includes(sha256) && path.endsWith('._S3rver_object'))
    .map((path) => join(server.folder, path));
}

describeBlobStore('a bucket', async () => {
  const objects = newObjects();
  // Each test has a tenant of its own; what others left is no business of it.
  const before = new Set([...filesOf(''), ...readdirSync(spool)]);
  return Promise.resolve({
    blobs: new S3BlobStore(objects, spool, 1_000_000),
    sweep: new S3BlobSweep(objects),
    damage: (tenantId: string, sha256: string, bytes: Buffer) =>
      Promise.resolve(filesOf(tenantId, sha256).forEach((path) => writeFileSync(path, bytes))),
    age: (tenantId: string, sha256: string, ms: number) => {
      const then = new Date(Date.now() - ms);
      return Promise.resolve(filesOf(tenantId, sha256).forEach((path) => utimesSync(path, then, then)));
    },
    everything: () => Promise.resolve([...filesOf(''), ...readdirSync(spool)].filter((path) => !before.has(path))),
  });
});

describe('S3BlobStore', () => {
  it('stores again what may be about to be swept, and a sweep takes only what it saw was old', async () => {
    const objects = newObjects();
    const blobs = new S3BlobStore(objects, spool);
    const { sha256 } = await blobs.put(TENANT, Buffer.from('again'));
    const [first = ''] = filesOf(TENANT, sha256);
    const then = new Date(Date.now() - 2 * 60 * 60_000);
    utimesSync(first, then, then);
    await blobs.put(TENANT, Buffer.from('again'));
    expect(filesOf(TENANT, sha256)).toHaveLength(2);
    expect(await new S3BlobSweep(objects).deleteOlder({ tenantId: TENANT, sha256 }, 60 * 60_000)).toBe(false);
    expect(filesOf(TENANT, sha256)).toHaveLength(1);
    expect(filesOf(TENANT, sha256)).not.toContain(first);
    const open = await blobs.open(TENANT, sha256);
    expect(String(await buffer(open?.stream ?? Readable.from([])))).toBe('again');
  });

  it('goes through folders and objects page by page', async () => {
    const tenants = [randomUUID(), randomUUID(), randomUUID()];
    const objects = new S3Objects(server.place, 2);
    opened.push(objects);
    for (const tenant of tenants) {
      for (let i = 0; i < 3; i += 1) await objects.put(`${tenant}/${i}`, __filename, whatIsIn(__filename));
    }
    expect(await objects.folders()).toEqual(expect.arrayContaining(tenants));
    for (const tenant of tenants) {
      const keys: string[] = [];
      for await (const { key } of objects.list(`${tenant}/`)) keys.push(key);
      expect(keys).toEqual([0, 1, 2].map((i) => `${tenant}/${i}`));
    }
  });

  it('has what a deployment configures, lazily', async () => {
    const place = { home: spool, s3: server.place };
    const [blobs, sweep] = [await openBlobStore(place), await openBlobSweep(place)];
    const { sha256 } = await blobs.put(TENANT, randomBytes(10));
    expect(filesOf(TENANT, sha256)).toHaveLength(1);
    expect(readdirSync(join(spool, 'artifacts', 'spool'))).toEqual([]);
    expect(await sweep.deleteOlder({ tenantId: TENANT, sha256 }, -60_000)).toBe(true);
    expect(await blobs.open(TENANT, sha256)).toBeUndefined();
  });

  it('says when the store is away, or refuses the key, and keeps nothing of it here', async () => {
    const away = new S3BlobStore(newObjects('http://127.0.0.1:9'), spool);
    await expect(away.put(TENANT, Buffer.from('x'))).rejects.toThrow(BlobStoreUnavailableError);
    await expect(away.open(TENANT, 'a'.repeat(64))).rejects.toThrow(BlobStoreUnavailableError);
    const credentials = { accessKeyId: 'another', secretAccessKey: { reveal: () => 'secret-of-it' } };
    const refused = new S3Objects({ ...server.place, credentials });
    opened.push(refused);
    const error: unknown = await new S3BlobStore(refused, spool).put(TENANT, Buffer.from('x')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BlobStoreUnavailableError);
    expect(String((error as Error).message)).not.toContain('secret-of-it');
    expect(readdirSync(spool).filter((name) => name !== 'artifacts')).toEqual([]);
  });

  it('sends again what a connection broke under', async () => {
    let breaks = 1;
    const { port } = new URL(server.place.endpoint);
    // A proxy that cuts the first connection an object comes over.
    const proxy: Server = createServer((socket) => {
      const upstream = connect(Number(port), '127.0.0.1');
      socket.on('data', (data) => {
        if (data.includes('PUT /') && breaks > 0) {
          breaks -= 1;
          return void socket.destroy();
        }
        upstream.write(data);
      });
      upstream.pipe(socket);
      for (const end of [socket, upstream]) {
        end.on('error', () => undefined).on('close', () => (socket.destroy(), upstream.destroy()));
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const blobs = new S3BlobStore(newObjects(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`), spool);
    const bytes = randomBytes(200_000);
    const { sha256 } = await blobs.put(TENANT, bytes);
    expect(breaks).toBe(0);
    const open = await blobs.open(TENANT, sha256);
    expect(await buffer(open?.stream ?? Readable.from([]))).toEqual(bytes);
    for (const objects of opened) objects.close();
    proxy.close();
  });
});

function whatIsIn(path: string) {
  const bytes = readFileSync(path);
  return { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
}
