import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DEFAULT_TENANT_ID, type ArtifactList, type ArtifactRef, type ProblemDetails } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { startTestEdge, TestClient, type TestEdge, type TokenWish } from '../testing';

type Headers = Record<string, string>;
interface Asked {
  readonly token?: string;
  readonly headers?: Headers;
  readonly body?: Buffer | string;
}

const digestOf = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
const digest = (bytes: Buffer | string) => `sha-256=:${digestOf(bytes).toString('base64')}:`;
const DIFFERING = { 'content-digest': digest('x'), 'repr-digest': digest('y') };

describe.each(['sqlite', 'postgres'] as const)('artifacts on %s', (database) => {
  let edge: TestEdge;
  let token: string;
  let turnId: string;

  beforeAll(async () => {
    edge = await startTestEdge({ database, artifactStallMs: 1_000, env: { TYRUM_ARTIFACT_MAX_BYTES: '30000000' } });
    token = await edge.issue();
    turnId = await startTurn();
  });
  afterAll(() => edge.stop());

  const call = (method: string, path: string, { token: as = token, headers = {}, body }: Asked = {}) =>
    fetch(`${edge.httpUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${as}`, 'content-type': 'text/plain', ...headers },
      ...(body === undefined ? {} : { body }),
    });
  const upload = async (query: string, body: Buffer | string, asked: Asked = {}): Promise<ArtifactRef> => {
    const answer = await call('POST', `/v1/artifacts?${query}`, { ...asked, body });
    expect([answer.status, await answer.clone().text()]).toEqual([201, expect.any(String)]);
    return (await answer.json()) as ArtifactRef;
  };
  const get = (id: string, asked: Asked = {}) => call('GET', `/v1/artifacts/${id}/content`, asked);
  const problem = async (answer: Response) => (await answer.json()) as ProblemDetails;
  const startTurn = async (): Promise<string> => {
    const steps = [{ type: 'CLI', args: { cmd: 'true', args: [] } }];
    const body = JSON.stringify({ conversation_key: `agent:default:x:dm:${randomUUID()}`, steps });
    const answer = await call('POST', '/v1/workflows', { body, headers: { 'content-type': 'application/json' } });
    return ((await answer.json()) as { workflow_run_id: string }).workflow_run_id;
  };
  const filesOf = () => {
    const files = readdirSync(join(edge.home, 'artifacts', DEFAULT_TENANT_ID), {
      recursive: true,
      withFileTypes: true,
    });
    return files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  };
  const drafts = () => readdirSync(join(edge.home, 'artifacts', DEFAULT_TENANT_ID, 'incoming'));
  const reader = (wish: TokenWish = {}) => edge.issue({ role: 'client', scopes: ['operator.read'], ...wish });
  /** Files of the artifacts' folder that this process holds open. */
  const held = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(edge.home, 'artifacts'));
      } catch {
        return false;
      }
    });

  it('takes bytes of any size up to its limit, says what they are and hands them out again', async () => {
    const bytes = randomBytes(2_500_000);
    const made = await upload(`filename=a.png&kind=screenshot&label=one,two&turn_id=${turnId}`, bytes, {
      headers: { 'content-type': 'image/png; foo=bar', 'content-digest': digest(bytes) },
    });
    expect(made).toEqual({
      artifact_id: expect.any(String),
      uri: `artifact://${made.artifact_id}`,
      external_url: `/v1/artifacts/${made.artifact_id}/content`,
      kind: 'screenshot',
      media_class: 'image',
      created_at: expect.any(String),
      filename: 'a.png',
      mime_type: 'image/png',
      size_bytes: bytes.length,
      sha256: digestOf(bytes).toString('hex'),
      labels: ['one', 'two'],
    });
    expect(await (await call('GET', `/v1/artifacts/${made.artifact_id}`)).json()).toEqual(made);
    const list = (await (await call('GET', `/v1/turns/${turnId}/artifacts?limit=1`)).json()) as ArtifactList;
    expect(list).toEqual({ artifacts: [made] });
    const answer = await get(made.artifact_id);
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(bytes.length),
      'content-disposition': 'attachment; filename="a.png"',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
      'repr-digest': digest(bytes),
      etag: `"${made.sha256}"`,
    });
    expect(drafts()).toEqual([]);
  });

  it('stores JSON, forms and nothing at all as the bytes they are', async () => {
    const json = await upload('', '{"a": 1}', { headers: { 'content-type': 'application/json' } });
    expect([json.filename, json.kind, json.mime_type]).toEqual(['artifact', 'file', 'application/json']);
    expect(await (await get(json.artifact_id)).text()).toBe('{"a": 1}');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await (await get((await upload('', 'a=1&b', { headers: form })).artifact_id)).text()).toBe('a=1&b');
    const empty = await upload('', '');
    expect(empty.size_bytes).toBe(0);
    const answer = await get(empty.artifact_id);
    expect([answer.status, await answer.text()]).toEqual([200, '']);
  });

  it.each<[string, string, Asked, number, string | undefined]>([
    ['another digest', '', { headers: { 'content-digest': digest('y') } }, 400, 'Content-Digest'],
    ['another digest of the representation', '', { headers: { 'repr-digest': digest('y') } }, 400, 'Content-Digest'],
    ['a digest that is none', '', { headers: { 'content-digest': 'sha-256=abc' } }, 400, 'Content-Digest'],
    ['a digest that is short', '', { headers: { 'content-digest': 'sha-256=:YWJj:' } }, 400, 'Content-Digest'],
    ['two digests that differ', '', { headers: DIFFERING }, 400, 'Repr-Digest'],
    ['an unknown kind', 'kind=virus', {}, 400, 'query.kind'],
    ['an unknown parameter', 'name=x', {}, 400, 'query.name'],
    ['a turn that is no id', 'turn_id=1', {}, 400, 'query.turn_id'],
    ['a name that is too long', `filename=${'x'.repeat(256)}`, {}, 400, 'query.filename'],
    ['a media type that is none', '', { headers: { 'content-type': 'image' } }, 400, 'Content-Type'],
    ['a turn that is not there', `turn_id=${randomUUID()}`, {}, 404, undefined],
    ['several parts', '', { headers: { 'content-type': 'multipart/form-data; boundary=x' } }, 415, undefined],
    ['compressed bytes', '', { headers: { 'content-encoding': 'gzip' } }, 415, undefined],
  ])('refuses %s and keeps nothing', async (_, query, asked, status, field) => {
    const before = filesOf();
    const answer = await call('POST', `/v1/artifacts?${query}`, { ...asked, body: 'x' });
    expect(answer.status).toBe(status);
    expect((await problem(answer)).errors?.[0]?.field).toBe(field);
    expect(filesOf()).toEqual(before);
  });

  it('takes digests of other algorithms beside ours, and the same one twice', async () => {
    const fields = { 'content-digest': `sha-512=:${'A'.repeat(86)}==:, ${digest('x')}`, 'repr-digest': digest('x') };
    expect((await upload('', 'x', { headers: fields })).sha256).toBe(digestOf('x').toString('hex'));
  });

  it('refuses more than it takes, announced or not, and leaves nothing of it', async () => {
    const before = filesOf();
    const large = randomBytes(30_000_001);
    const socket = await rawUpload(`Content-Length: ${large.length}`);
    expect(await socket.answer()).toMatch(/^HTTP\/1\.1 413 /);
    const chunked = await rawUpload('Transfer-Encoding: chunked');
    chunked.write(`${large.length.toString(16)}\r\n`);
    chunked.write(large);
    expect(await chunked.answer()).toMatch(/^HTTP\/1\.1 413 /);
    expect(filesOf()).toEqual(before);
  });

  it('leaves nothing of an upload that breaks off or stands still', async () => {
    const before = filesOf();
    const broken = await rawUpload('Content-Length: 1000000');
    broken.write(randomBytes(500_000));
    await eventually(() => expect(drafts()).toHaveLength(1));
    broken.destroy();
    await eventually(() => expect(drafts()).toEqual([]));
    const still = await rawUpload('Content-Length: 1000000');
    still.write('x');
    expect(await still.answer()).toMatch(/^HTTP\/1\.1 408 /);
    expect(filesOf()).toEqual(before);
    expect(edge.logs.filter(({ msg }) => msg === 'request failed')).toEqual([]);
  });

  it('keeps one artifact for one key, and holds the key to what came with it', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const first = await call('POST', '/v1/artifacts?filename=k', { body: 'same', headers: key });
    const made = (await first.json()) as ArtifactRef;
    const copy = await call('POST', '/v1/artifacts?filename=k', { body: 'same', headers: key });
    expect([copy.status, copy.headers.get('idempotency-replayed'), await copy.json()]).toEqual([201, 'true', made]);
    expect((await call('POST', '/v1/artifacts?filename=k', { body: 'other', headers: key })).status).toBe(422);
    expect((await call('POST', '/v1/artifacts?filename=l', { body: 'same', headers: key })).status).toBe(422);
  });

  describe('parts and conditions', () => {
    let id: string;
    let etag: string;
    beforeAll(async () => {
      ({ artifact_id: id } = await upload(`turn_id=${turnId}`, '0123456789'));
      etag = `"${digestOf('0123456789').toString('hex')}"`;
    });

    it.each([
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=7-', '789', 'bytes 7-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=-99', '0123456789', 'bytes 0-9/10'],
      ['bytes=5-99', '56789', 'bytes 5-9/10'],
      ['bytes=0-0', '0', 'bytes 0-0/10'],
      ['bytes=0-2,2-5', '012345', 'bytes 0-5/10'],
    ])('%s is the part %s', async (range, text, contentRange) => {
      const answer = await get(id, { headers: { range } });
      expect([answer.status, await answer.text()]).toEqual([206, text]);
      expect(answer.headers.get('content-range')).toBe(contentRange);
      expect(answer.headers.get('content-length')).toBe(String(text.length));
      expect(answer.headers.get('etag')).toBe(etag);
    });

    it.each(['bytes=0-1,5-6', 'bytes=x', 'lines=1-2', 'bytes=4-2'])(
      '%s is answered as RFC 9110 allows',
      async (range) => {
        const answer = await get(id, { headers: { range } });
        const isBackwards = range === 'bytes=4-2';
        expect([answer.status, answer.headers.get('content-range')]).toEqual(
          isBackwards ? [416, 'bytes */10'] : [200, null],
        );
      },
    );

    it('a range outside of it is 416 and says how long it is', async () => {
      const answer = await get(id, { headers: { range: 'bytes=10-' } });
      expect([answer.status, answer.headers.get('content-range')]).toEqual([416, 'bytes */10']);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.headers.get('content-disposition')).toBeNull();
      expect((await problem(answer)).detail).toContain('10 bytes');
    });

    it('sends the part only where If-Range still holds', async () => {
      const ask = async (validator: string) =>
        (await get(id, { headers: { range: 'bytes=0-1', 'if-range': validator } })).status;
      const modified = (await get(id)).headers.get('last-modified') ?? '';
      expect(await Promise.all([etag, `W/${etag}`, '"x"', modified].map(ask))).toEqual([206, 200, 200, 206]);
      expect(await ask(new Date(Date.parse(modified) - 1_000).toUTCString())).toBe(200);
    });

    it('has no bytes for who has them, and refuses what was meant for others', async () => {
      const status = async (headers: Headers) => (await get(id, { headers })).status;
      expect(await status({ 'if-none-match': etag })).toBe(304);
      expect(await status({ 'if-none-match': `"x", W/${etag}` })).toBe(304);
      expect(await status({ 'if-none-match': '"x"' })).toBe(200);
      expect(await status({ 'if-modified-since': new Date().toUTCString() })).toBe(304);
      expect(await status({ 'if-match': '"x"' })).toBe(412);
      expect(await status({ 'if-match': `"x", ${etag}` })).toBe(200);
      expect(await status({ 'if-unmodified-since': new Date(0).toUTCString() })).toBe(412);
      // A condition comes before the range.
      expect(await status({ 'if-none-match': etag, range: 'bytes=0-1' })).toBe(304);
    });

    it('answers HEAD with the same headers and no bytes', async () => {
      const [whole, head] = [await get(id), await call('HEAD', `/v1/artifacts/${id}/content`, {})];
      expect([head.status, await head.text(), head.headers.get('content-length')]).toEqual([200, '', '10']);
      for (const name of ['etag', 'repr-digest', 'content-type', 'content-disposition', 'accept-ranges']) {
        expect(head.headers.get(name)).toBe(whole.headers.get(name));
      }
      const part = await call('HEAD', `/v1/artifacts/${id}/content`, { headers: { range: 'bytes=0-1' } });
      expect([part.status, part.headers.get('content-length')]).toEqual([200, '10']);
    });
  });

  it.each([
    ['text/html', 'page.html', 'attachment; filename="page.html"'],
    ['image/svg+xml', 'drawing.svg', 'attachment; filename="drawing.svg"'],
    ['application/xhtml+xml', 'x', 'attachment; filename="x"'],
    ['text/javascript', 'päge.js', 'attachment; filename="päge.js"'],
    ['text/xml', '世界.xml', `attachment; filename="??.xml"; filename*=UTF-8''%E4%B8%96%E7%95%8C.xml`],
    ['application/wasm', 'a"\\b\r\nSet-Cookie: x=1.txt', undefined],
  ])('lets nothing of type %s run, and no name of it into the headers', async (type, filename, disposition) => {
    const name = encodeURIComponent(filename);
    const made = await upload(`filename=${name}`, '<script>', { headers: { 'content-type': type } });
    const answer = await get(made.artifact_id);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.headers.get('set-cookie')).toBeNull();
    const said = Buffer.from(answer.headers.get('content-disposition') ?? '', 'latin1').toString('latin1');
    if (disposition !== undefined) expect(said).toBe(disposition);
    else expect(said).toMatch(/^attachment; filename="[^"\r\n]*"(; filename\*=UTF-8''[\w%.-]+)?$/);
    await answer.text();
  });

  it('breaks the connection before the end of damaged bytes, and never serves them as whole', async () => {
    const bytes = randomBytes(2_000_000);
    const [large, small] = [await upload('', bytes), await upload('', `small ${randomUUID()}`)];
    const damage = ({ sha256 = '' }: ArtifactRef, content: Buffer) =>
      writeFileSync(join(edge.home, 'artifacts', DEFAULT_TENANT_ID, sha256.slice(0, 2), sha256), content);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    damage(large, damaged);
    damage(small, Buffer.alloc(small.size_bytes ?? 0));
    const broken = await get(large.artifact_id);
    expect(broken.status).toBe(200);
    await expect(broken.arrayBuffer()).rejects.toThrow();
    const refused = await get(small.artifact_id);
    expect([refused.status, refused.headers.get('etag')]).toEqual([500, null]);
    expect((await problem(refused)).detail).not.toContain(small.sha256);
    damage(small, Buffer.from('cut'));
    expect((await get(small.artifact_id, { headers: { range: 'bytes=0-1' } })).status).toBe(500);
    expect(edge.logs.filter(({ msg }) => msg === 'an answer broke off')).toHaveLength(1);
    await eventually(() => expect(held()).toEqual([]));
  });

  it('waits for a slow reader, and lets the file go when it leaves or takes nothing any more', async () => {
    const { artifact_id: id } = await upload(`turn_id=${turnId}`, randomBytes(25_000_000));
    const ask = async () => {
      const socket = connect({ port: Number(new URL(edge.httpUrl).port), host: '127.0.0.1' });
      socket.on('error', () => undefined);
      socket.pause();
      socket.write(`GET /v1/artifacts/${id}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      await once(socket, 'connect');
      return socket;
    };
    const leaves = await ask();
    await eventually(() => expect(held()).toHaveLength(1));
    leaves.destroy();
    await eventually(() => expect(held()).toEqual([]));
    const takesNothing = await ask();
    await eventually(() => expect(held()).toHaveLength(1));
    await eventually(() => expect(held()).toEqual([]), { timeoutMs: 10_000 });
    takesNothing.destroy();
  });

  it('shows an upload to its uploader alone, until a message brings it to a turn', async () => {
    const scopes = ['operator.read', 'operator.write'] as const;
    const uploader = await edge.issue({ role: 'client', scopes });
    const other = await edge.issue({ role: 'client', scopes });
    const hears = await TestClient.connect(edge.socketUrl, uploader);
    const hearsNot = await TestClient.connect(edge.socketUrl, other);
    const { artifact_id: id } = await upload('filename=mine', 'x', { token: uploader });
    const seenBy = async (as: string) => [
      (await call('GET', `/v1/artifacts/${id}`, { token: as })).status,
      (await get(id, { token: as })).status,
    ];
    expect(await Promise.all([uploader, other, token].map(seenBy))).toEqual([
      [200, 200],
      [404, 404],
      [404, 404],
    ]);
    await hears.event('artifact.created', (e) => e.payload.artifact.artifact_id === id);

    const { conversation } = (await hears.request('conversation.create', {})).result as {
      conversation: { conversation_id: string };
    };
    const { conversation_id } = conversation;
    const message = (url: string) => ({
      conversation_id,
      trigger: 'submit-message',
      messages: [{ id: 'm', role: 'user', parts: [{ type: 'file', mediaType: 'text/plain', url }] }],
    });
    const refer = `artifact://${id}`;
    expect((await hearsNot.request('conversation.send', message(refer))).error?.code).toBe('not_found');
    expect((await hears.request('conversation.send', message('artifact://x'))).error?.code).toBe('contract_error');
    const sent = await hears.request('conversation.send', message(refer));
    const turn = (sent.result as { stream_id: string }).stream_id;
    const attached = await hearsNot.event('artifact.attached');
    expect(attached).toMatchObject({ scope: { kind: 'turn', turn_id: turn }, payload: { turn_id: turn } });
    expect(hearsNot.events().filter(({ type }) => type === 'artifact.created')).toEqual([]);
    expect(await Promise.all([uploader, other, token].map(seenBy))).toEqual(Array(3).fill([200, 200]));
    const listed = (await (await call('GET', `/v1/turns/${turn}/artifacts`, { token: other })).json()) as ArtifactList;
    expect(listed.artifacts.map(({ artifact_id }) => artifact_id)).toEqual([id]);
    // Over HTTP it may be referred to by who may read it now.
    const { conversation_id: __, ...again } = message(refer);
    const path = `/v1/conversations/${conversation_id}/messages`;
    const json = { 'content-type': 'application/json' };
    const answer = await call('POST', path, { token: other, headers: json, body: JSON.stringify(again) });
    expect(answer.status).toBe(202);
    await Promise.all([hears.close(), hearsNot.close()]);
  });

  it('asks for the scopes', async () => {
    const { artifact_id: id } = await upload(`turn_id=${turnId}`, 'x');
    const [reads, writes] = [await reader(), await reader({ scopes: ['operator.write'] })];
    expect((await call('POST', '/v1/artifacts', { token: reads, body: 'x' })).status).toBe(403);
    expect((await get(id, { token: reads })).status).toBe(200);
    for (const path of [`artifacts/${id}`, `artifacts/${id}/content`, `turns/${turnId}/artifacts`]) {
      expect((await call('GET', `/v1/${path}`, { token: writes })).status).toBe(403);
    }
    expect((await call('POST', '/v1/artifacts', { token: 'x', body: 'x' })).status).toBe(401);
  });

  /** An upload whose bytes are the test's own. */
  async function rawUpload(length: string) {
    const socket = connect({ port: Number(new URL(edge.httpUrl).port), host: '127.0.0.1' });
    let heard = '';
    socket.on('data', (data) => (heard += data.toString('latin1')));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const head = ['POST /v1/artifacts HTTP/1.1', 'Host: x', `Authorization: Bearer ${token}`, length];
    socket.write(`${[...head, 'Content-Type: text/plain'].join('\r\n')}\r\n\r\n`);
    return {
      write: (bytes: Buffer | string) => socket.write(bytes),
      destroy: () => socket.destroy(),
      answer: async () => {
        await eventually(() => expect(heard).toContain('\r\n\r\n'), { timeoutMs: 10_000 });
        socket.destroy();
        return heard;
      },
    };
  }
});
