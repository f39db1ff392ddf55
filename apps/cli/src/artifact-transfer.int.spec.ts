import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactRef } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { getFile } from './artifact-transfer';
import { EdgeApi } from './edge-api';

const BYTES = randomBytes(1_000_000);
const artifact = {
  artifact_id: 'a',
  size_bytes: BYTES.length,
  sha256: createHash('sha256').update(BYTES).digest('hex'),
} as ArtifactRef;

describe('downloading over connections that break', () => {
  let folder: string;
  let server: Server;
  const asked: (string | undefined)[] = [];

  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'tyrum-get-'))));
  afterEach(async () => {
    asked.length = 0;
    rmSync(folder, { recursive: true, force: true });
    await new Promise((resolve) => server.close(resolve));
  });

  const drafts = () => readdirSync(folder).map((name) => statSync(join(folder, name)).size);

  /** Serves `bytes` and breaks each of the first `breaks` answers in the middle. */
  async function get(breaks: number, bytes = BYTES): Promise<void> {
    server = createServer((request: IncomingMessage, response: ServerResponse) => {
      const { range } = request.headers;
      asked.push(range);
      const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
      response.writeHead(range ? 206 : 200, { 'content-length': bytes.length - start });
      if (asked.length > breaks) return void response.end(bytes.subarray(start));
      response.write(bytes.subarray(start, start + 100_000));
      // What breaks before the client has it on its disk may have brought it nothing.
      const isKept = eventually(() => expect(Math.max(...drafts())).toBeGreaterThanOrEqual(start + 100_000));
      void isKept.catch(() => undefined).then(() => response.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const api = new EdgeApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'token');
    await getFile(api, artifact, join(folder, 'out'));
  }

  it('goes on where it broke off', async () => {
    await get(3);
    expect(readFileSync(join(folder, 'out')).equals(BYTES)).toBe(true);
    expect(asked).toHaveLength(4);
    expect(asked[0]).toBeUndefined();
    expect(new Set(asked.slice(1)).size).toBe(3);
  });

  it('gives up at last, and leaves nothing', async () => {
    await expect(get(9)).rejects.toThrow('again and again');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes no other bytes for the artifact', async () => {
    await expect(get(0, randomBytes(1_000_000))).rejects.toThrow('not those of the artifact');
    expect(readdirSync(folder)).toEqual([]);
  });
});
