import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AbortReason, StepOutcome, StepRequest } from '@tyrum/execution';
import { DEFAULT_TENANT_ID, validateAction, type Action } from '@tyrum/protocol';
import { freePort } from '@tyrum/test-services';
import { HttpExecutor } from './http-executor';
import { codeOf, openTestArtifacts, resultOf, stepSecrets, TestWorkspace } from './testing';

const SECRETS = { token: 's3cr3t/of+some length', lines: 'secret of\ntwo lines' };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe('HttpExecutor', () => {
  const workspace = new TestWorkspace();
  let evidence: Awaited<ReturnType<typeof openTestArtifacts>>;
  let servers: Server[];

  beforeAll(async () => void (evidence = await openTestArtifacts()));
  afterAll(async () => {
    workspace.remove();
    await evidence.close();
  });
  beforeEach(() => void (servers = []));
  afterEach(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  async function serve(handler: Handler): Promise<string> {
    const server = createServer(handler).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const http = (args: object): Action => validateAction({ type: 'Http', args: { method: 'GET', ...args } });
  const execute = (
    request: StepRequest,
    signal: AbortSignal = new AbortController().signal,
    artifacts = evidence.artifacts,
  ): Promise<StepOutcome> =>
    new HttpExecutor(artifacts, new Set(['127.0.0.1']), stepSecrets(SECRETS)).execute(request, {
      signal,
      stream: () => {},
    });
  const run = (args: object, fields: Partial<StepRequest> = {}) => execute(workspace.step(http(args), fields));
  const answering = (status: number, headers: Record<string, string> = {}) =>
    serve((_request, response) => void response.writeHead(status, headers).end('body'));

  it('sends what it is given, with the step’s key and token', async () => {
    let seen: { method?: string; headers: IncomingMessage['headers']; body: string } | undefined;
    const url = await serve(async (request, response) => {
      seen = {
        ...(request.method ? { method: request.method } : {}),
        headers: request.headers,
        body: await text(request),
      };
      response.writeHead(201, { 'content-type': 'application/json', 'set-cookie': 'session=1' }).end('{"ok":true}');
    });
    const request = workspace.step(http({ method: 'post', url, body: { a: 1 }, headers: { 'X-Mine': 'yes' } }), {
      fencingToken: 7,
    });
    const result = resultOf(await execute(request));
    expect(result).toMatchObject({
      status: 201,
      output: '{"ok":true}',
      headers: { 'content-type': 'application/json' },
    });
    expect(JSON.stringify(result)).not.toContain('session=1');
    expect(seen).toMatchObject({
      method: 'POST',
      body: '{"a":1}',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': request.idempotencyKey,
        'tyrum-fencing-token': '7',
        'x-mine': 'yes',
      },
    });
    await run({ method: 'POST', url, body: 'plain', headers: { 'Idempotency-Key': 'mine' } });
    expect(seen).toMatchObject({ body: 'plain', headers: { 'idempotency-key': 'mine' } });
  });

  it.each([
    [200, 'GET', undefined],
    [204, 'DELETE', undefined],
    [304, 'GET', undefined],
    [400, 'GET', false],
    [404, 'GET', false],
    [408, 'GET', true],
    [425, 'PUT', true],
    [429, 'GET', true],
    [500, 'GET', true],
    [503, 'DELETE', true],
    [503, 'POST', false],
  ])('%s to a %s: retryable %s', async (status, method, retryable) => {
    const outcome = await run({ method, url: await answering(status) });
    if (retryable === undefined) expect(resultOf(outcome)['status']).toBe(status);
    else
      expect(outcome).toMatchObject({
        kind: 'failed',
        retryable,
        error: { code: `http_${status}` },
        result: { status },
      });
  });

  it('honours Retry-After', async () => {
    expect(await run({ url: await answering(429, { 'retry-after': '7' }) })).toMatchObject({ retryAfterMs: 7_000 });
    const date = new Date(Date.now() + 60_000).toUTCString();
    const outcome = await run({ url: await answering(503, { 'retry-after': date }) });
    expect((outcome as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(50_000);
  });

  it('is retryable when nothing was sent, whatever the effect', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await run({ method: 'POST', url })).toMatchObject({ kind: 'failed', retryable: true });
    expect(await run({ method: 'POST', url, body: 'x'.repeat(400_000) })).toMatchObject({
      kind: 'failed',
      retryable: true,
    });
  });

  it.each<[string, Handler]>([
    ['hung up', (request) => void request.socket.destroy()],
    [
      'broke off',
      (_request, response) =>
        void response.writeHead(200, { 'content-length': '99' }).write('part', () => response.destroy()),
    ],
    ['said nothing', () => {}],
  ])('does not know what a once request did when the receiver %s', async (_what, handler) => {
    const url = await serve(handler);
    expect((await run({ method: 'POST', url, timeout_ms: 300 })).kind).toBe('unknown');
    expect(await run({ method: 'PUT', url, timeout_ms: 300 })).toMatchObject({ kind: 'failed', retryable: true });
    expect(await run({ method: 'GET', url, timeout_ms: 300 })).toMatchObject({ kind: 'failed', retryable: true });
  });

  it.each<[AbortReason, string, StepOutcome['kind']]>([
    ['cancelled', 'POST', 'interrupted'],
    ['draining', 'POST', 'unknown'],
    ['lease_lost', 'GET', 'interrupted'],
  ])('stopped because %s, a %s is %s', async (reason, method, kind) => {
    const abort = new AbortController();
    const url = await serve(() => abort.abort(reason));
    expect((await execute(workspace.step(http({ method, url })), abort.signal)).kind).toBe(kind);
  });

  it('keeps a long body as an artifact, and no more than its limit', async () => {
    const body = 'x'.repeat(100_000);
    const url = await serve(
      (_request, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end(body),
    );
    const request = workspace.step(http({ url }));
    const result = resultOf(await execute(request));
    expect(result['truncated']).toBe(true);
    expect(String(result['output'])).toHaveLength(64 * 1024);
    const [artifact] = await evidence.artifacts.listByTurn(DEFAULT_TENANT_ID, request.turnId);
    expect(artifact).toMatchObject({ size_bytes: 100_000, mime_type: 'text/plain' });
    expect(result['artifacts']).toEqual([artifact]);
    const endless = await serve((_request, response) => {
      const more = () => void (response.destroyed || response.write(Buffer.alloc(1_000_000), more));
      more();
    });
    expect(resultOf(await run({ url: endless }))['truncated']).toBe(true);
  });

  it('has done what it did, also where a long answer cannot be kept', async () => {
    const url = await serve((_request, response) => void response.end('x'.repeat(100_000)));
    const nowhere = await openTestArtifacts('/dev/null/artifacts');
    const request = workspace.step(http({ method: 'POST', url }), { effect: 'once' });
    const outcome = await execute(request, undefined, nowhere.artifacts);
    expect(resultOf(outcome)).toMatchObject({ status: 200, truncated: true, artifact_error: 'ENOTDIR' });
    await nowhere.close();
  });

  it('hands out no NUL', async () => {
    const url = await serve((_request, response) => void response.end('a\0b'));
    expect(resultOf(await run({ url }))['output']).toBe('ab');
  });

  it('follows redirects, with credentials for the first origin only', async () => {
    const seen: { method: string | undefined; url: string | undefined; headers: IncomingMessage['headers'] }[] = [];
    const remember: Handler = ({ method, url, headers }, response) => {
      seen.push({ method, url, headers });
      response.end('arrived');
    };
    const other = await serve(remember);
    const first = await serve((request, response) => {
      if (request.url === '/same') return void response.writeHead(302, { location: '/there' }).end();
      if (request.url === '/other') return void response.writeHead(307, { location: `${other}/far` }).end();
      remember(request, response);
    });
    const headers = { Authorization: 'Bearer secret', Cookie: 'a=b', 'X-Mine': 'yes' };
    expect(resultOf(await run({ url: `${first}/same`, headers }))['output']).toBe('arrived');
    expect(seen[0]).toMatchObject({ url: '/there', headers: { authorization: 'Bearer secret' } });
    await run({ method: 'PUT', url: `${first}/other`, headers, body: 'x' });
    expect(seen[1]).toMatchObject({ method: 'PUT', url: '/far', headers: { 'x-mine': 'yes' } });
    expect(JSON.stringify(seen[1])).not.toMatch(/secret|a=b/);
  });

  it.each([
    [301, 'POST', 'GET'],
    [302, 'DELETE', 'DELETE'],
    [303, 'PUT', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [308, 'POST', 'POST'],
  ])('after a %s a %s becomes a %s', async (status, method, becomes) => {
    let seen: string | undefined;
    const url = await serve((request, response) => {
      if (request.url === '/') return void response.writeHead(status, { location: '/next' }).end();
      seen = request.method;
      response.end();
    });
    await run({ method, url });
    expect(seen).toBe(becomes);
  });

  it('does not ask again what was asked once and redirected to where nobody is', async () => {
    let [target, asked] = ['', 0];
    const url = await serve((_request, response) => {
      asked += 1;
      response.writeHead(303, { location: target }).end();
    });
    // A port that is free once the server has its own: it might get this one.
    for (target of [`http://127.0.0.1:${await freePort()}`, 'http://10.0.0.1', 'http://nobody.invalid']) {
      asked = 0;
      expect((await run({ method: 'POST', url }, { effect: 'once' })).kind).toBe('unknown');
      expect((await run({ method: 'POST', url }, { effect: 'idempotent' })).kind).toBe('failed');
      expect(asked).toBe(2);
    }
  });

  it('gives up on a redirect without end, or to nowhere', async () => {
    expect(codeOf(await run({ url: await answering(302, { location: '/again' }) }))).toBe('too_many_redirects');
    expect(codeOf(await run({ url: await answering(302, { location: 'http://[' }) }))).toBe('invalid_redirect');
    expect(codeOf(await run({ url: await answering(302, { location: 'file:///etc/passwd' }) }))).toBe('invalid_url');
  });

  it('reaches no private network that is not allowed: not by number, by name, or by a redirect', async () => {
    let reached = 0;
    const inside = await serve((_request, response) => {
      reached += 1;
      response.end();
    });
    const { port } = new URL(inside);
    const guarded = new HttpExecutor(evidence.artifacts, new Set(), stepSecrets());
    const refused = (url: string) =>
      guarded.execute(workspace.step(http({ url })), { signal: new AbortController().signal, stream: () => {} });
    const hosts = [
      '127.0.0.1',
      '0x7f.1',
      '2130706433',
      '[::ffff:127.0.0.1]',
      '[::1]',
      'localhost',
      '0.0.0.0',
      '169.254.169.254',
    ];
    for (const host of hosts)
      expect(await refused(`http://${host}:${port}/`)).toMatchObject({
        retryable: false,
        error: { code: 'address_refused' },
      });
    const bouncing = await answering(302, { location: `http://localhost:${port}/` });
    expect(codeOf(await run({ url: bouncing }))).toBe('address_refused');
    expect(reached).toBe(0);
  });

  describe('secrets', () => {
    const headers = { authorization: 'Bearer secret:token', 'x-key': 'secret:token', 'x-text': 'no secret:token here' };
    /** Answers with all it was sent, in the body and a header. */
    const echo = () =>
      serve(async (request, response) => {
        const said = { ...request.headers, body: await text(request) };
        response.writeHead(200, { 'x-echo': String(request.headers['x-key']) }).end(JSON.stringify(said));
      });

    it('go out in headers and body, and come back in nothing', async () => {
      let seen: { headers: IncomingMessage['headers']; body: string } | undefined;
      const url = await serve(async (request, response) => {
        seen = { headers: request.headers, body: await text(request) };
        response.writeHead(200, { 'x-echo': String(request.headers['x-key']) }).end(`${seen.body} ${SECRETS.token}`);
      });
      const body = { deep: ['secret:token', 'not secret:token'] };
      const result = resultOf(await run({ url, method: 'POST', headers, body }));
      expect(seen?.headers).toMatchObject({
        authorization: `Bearer ${SECRETS.token}`,
        'x-key': SECRETS.token,
        'x-text': headers['x-text'],
      });
      expect(JSON.parse(seen?.body ?? '')).toEqual({ deep: [SECRETS.token, 'not secret:token'] });
      expect(JSON.stringify(result)).not.toContain(SECRETS.token);
      expect(result).toMatchObject({ headers: { 'x-echo': '[secret:token]' } });
    });

    it('are asked for with the host they go to and who chose that', async () => {
      const uses: unknown[] = [];
      const url = await echo();
      const executor = new HttpExecutor(
        evidence.artifacts,
        new Set(['127.0.0.1']),
        stepSecrets(SECRETS, (use) => uses.push(use)),
      );
      const step = workspace.step(http({ url, headers }), { chosenBy: 'model', attempt: 2 });
      await executor.execute(step, { signal: new AbortController().signal, stream: () => {} });
      const detail = { turn_id: step.turnId, step_index: 0, attempt: 2, tool: 'Http' };
      expect(uses).toEqual([{ actor: 'engine', detail, byModel: true, host: '127.0.0.1' }]);
    });

    it('do not follow a redirect to another origin', async () => {
      const elsewhere = await echo();
      const url = await serve((_request, response) => void response.writeHead(307, { location: elsewhere }).end());
      const got = resultOf(await run({ url, headers }));
      expect(got['output']).not.toContain('[secret:token]');
      expect(got['output']).toContain('no secret:token here');
      const posted = await run({ url, method: 'POST', body: 'secret:token' });
      expect(resultOf(posted)).toMatchObject({ status: 307 });
    });

    it('that no header may hold are refused without being said', async () => {
      const outcome = await run({ url: await echo(), headers: { 'x-key': 'secret:lines' } });
      expect(outcome).toMatchObject({ error: { code: 'invalid_header' }, retryable: false });
      expect(JSON.stringify(outcome)).not.toContain('two lines');
    });

    it('that are not there fail the step before anything is sent', async () => {
      let asked = 0;
      const url = await serve((_request, response) => void ((asked += 1), response.end()));
      expect(codeOf(await run({ url, headers: { authorization: 'Bearer secret:missing' } }))).toBe('secret_not_found');
      const many = Array.from({ length: 65 }, (_, i) => `secret:k${i}`);
      expect(codeOf(await run({ url, method: 'POST', body: many }))).toBe('too_many_secrets');
      expect(asked).toBe(0);
    });
  });
});
