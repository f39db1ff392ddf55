import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as WebStream } from 'node:stream/web';
import type { ArtifactRef } from '@tyrum/protocol';
import type { EdgeApi } from './edge-api';

const ATTEMPTS = 5;

/** Uploads a file. It is read twice, so that the edge can tell whether it got what lies here. */
export async function putFile(
  api: EdgeApi,
  path: string,
  { query, mimeType }: { readonly query: URLSearchParams; readonly mimeType: string },
): Promise<ArtifactRef> {
  const headers = {
    'content-type': mimeType,
    'content-digest': `sha-256=:${await sha256Of(path, 'base64')}:`,
    'idempotency-key': randomUUID(),
  };
  return api.putArtifact(Readable.toWeb(createReadStream(path)) as ReadableStream, query, headers);
}

/**
 * Downloads an artifact to a file, which is there whole or not at all. A connection that breaks is taken up where it broke.
 * @throws {Error} when the bytes are not those the edge says the artifact has
 */
export async function getFile(api: EdgeApi, artifact: ArtifactRef, path: string): Promise<void> {
  const draft = `${path}.${randomUUID()}.part`;
  try {
    for (let attempt = 1; !(await fetchRest(api, artifact, draft)); attempt += 1) {
      if (attempt === ATTEMPTS) throw new Error('the connection broke off again and again');
    }
    // Of the file and not of what came: what was on its way to the disk when a connection broke is in doubt.
    if ((await sha256Of(draft)) !== artifact.sha256)
      throw new Error('the bytes that came are not those of the artifact');
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Fetches what the draft has not. False: the connection broke on the way. */
async function fetchRest(api: EdgeApi, { artifact_id, sha256 }: ArtifactRef, draft: string): Promise<boolean> {
  const size = await stat(draft).then(
    (file) => file.size,
    () => 0,
  );
  const rest = size === 0 ? {} : { range: `bytes=${size}-`, 'if-range': `"${sha256}"` };
  const { body, status } = await api.artifactBytes(artifact_id, rest as Record<string, string>);
  const source = body ? Readable.fromWeb(body as WebStream) : Readable.from([]);
  try {
    await pipeline(source, createWriteStream(draft, { flags: status === 206 ? 'a' : 'w', mode: 0o600 }));
    return true;
  } catch (error) {
    // The disk's errors name a system call; what is left is the connection's.
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    return false;
  }
}

async function sha256Of(path: string, encoding: 'hex' | 'base64' = 'hex'): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest(encoding);
}
