import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { S3Server } from '@tyrum/evidence/testing';
import { DEFAULT_TENANT_ID, type ArtifactRef, type ProblemDetails } from '@tyrum/protocol';
import { startTestEdge, type TestEdge } from '../testing';

describe('artifacts in a bucket', () => {
  let server: S3Server;
  let edge: TestEdge;
  let token: string;

  beforeAll(async () => {
    server = await S3Server.start();
    edge = await startTestEdge({ env: environment(server.place.endpoint) });
    token = await edge.issue();
  });
  afterAll(async () => {
    await edge.stop();
    await server.stop();
  });

  const environment = (endpoint: string) => ({
    TYRUM_S3_BUCKET: server.place.bucket,
    TYRUM_S3_ENDPOINT: endpoint,
    TYRUM_S3_ACCESS_KEY_ID: 'S3RVER',
    TYRUM_S3_SECRET_ACCESS_KEY: 'S3RVER',
  });
  const call = (method: string, path: string, { body, headers = {} }: { body?: Buffer; headers?: object } = {}) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body ? { body } : {}),
    });

  it('go there and come from there, whole and in parts, and leave nothing on the edge', async () => {
    const bytes = randomBytes(1_500_000);
    const made = (await (await call('POST', '/v1/artifacts?filename=a', { body: bytes })).json()) as ArtifactRef;
    expect(made).toMatchObject({ size_bytes: bytes.length });
    const whole = await call('GET', made.external_url);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await call('GET', made.external_url, { headers: { range: 'bytes=1000000-1000009' } });
    expect([part.status, Buffer.from(await part.arrayBuffer())]).toEqual([206, bytes.subarray(1_000_000, 1_000_010)]);
    expect(readdirSync(join(server.folder, DEFAULT_TENANT_ID))).toEqual([made.sha256?.slice(0, 2)]);
    expect(readdirSync(join(edge.home, 'artifacts', 'spool'))).toEqual([]);
    expect(existsSync(join(edge.home, 'artifacts', DEFAULT_TENANT_ID))).toBe(false);
  });

  it('are refused while the bucket is away, and nothing is written', async () => {
    const { httpUrl, home, ...away } = await startTestEdge({ env: environment('http://127.0.0.1:9') });
    const authorization = `Bearer ${await away.issue()}`;
    const key = { 'idempotency-key': randomUUID() };
    const body = Buffer.from('x');
    const answer = await fetch(`${httpUrl}/v1/artifacts`, { method: 'POST', headers: { authorization, ...key }, body });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(((await answer.json()) as ProblemDetails).detail).not.toContain('127.0.0.1');
    expect(readdirSync(join(home, 'artifacts', 'spool'))).toEqual([]);
    await away.stop();
  });
});
