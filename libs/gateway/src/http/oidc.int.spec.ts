import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { storedEvents } from '@tyrum/outbox/testing';
import { eventually, startOwnIssuer, TestBrowser, type NextLogin, type OwnIssuer } from '@tyrum/test-services';
import { openSocket, startTestEdge, type TestEdge } from '../testing';

const ORIGIN = 'https://console.example';
const REDIRECT = 'http://127.0.0.1:1/oidc/callback';
const SECRET = 'a-secret-of-the-client-4711';
const CLIENT = { clientId: 'tyrum', clientSecret: SECRET, redirectUri: REDIRECT };
const RULES = [
  { group: 'ops', tenant: 'default', role: 'admin' },
  { group: 'staff', tenant: 'default', role: 'client', scopes: ['operator.read', 'operator.write'] },
  { group: 'acme', tenant: 'acme', role: 'client', scopes: ['operator.read'] },
];

const envOf = (issuer: string, more: Record<string, string> = {}) => ({
  TYRUM_OIDC_ISSUER: issuer,
  TYRUM_OIDC_CLIENT_ID: CLIENT.clientId,
  TYRUM_OIDC_CLIENT_SECRET: SECRET,
  TYRUM_OIDC_REDIRECT_URI: REDIRECT,
  TYRUM_OIDC_GROUPS: JSON.stringify(RULES),
  TYRUM_ALLOWED_ORIGINS: ORIGIN,
  ...more,
});

const refusals = async (edge: TestEdge) =>
  (await edge.store.read(storedEvents)).filter(({ type }) => type === 'auth.failed');

/** A browser in front of one edge. */
class Visitor extends TestBrowser {
  /** Addresses it was at, with whatever was in them. */
  readonly seen: string[] = [];

  constructor(readonly edge: TestEdge) {
    super();
  }

  /** Goes to the provider and comes back, as far as the door. Returns what it would bring. */
  async come(returnTo?: string): Promise<string> {
    const query = returnTo === undefined ? '' : `?return_to=${encodeURIComponent(returnTo)}`;
    const begun = await this.get(`${this.edge.httpUrl}/oidc/login${query}`);
    expect(begun.status).toBe(302);
    const back = await this.follow(begun.headers.get('location') as string, REDIRECT);
    this.seen.push(begun.headers.get('location') as string, back);
    return new URL(back).search;
  }

  bring(search: string, edge = this.edge): Promise<Response> {
    return this.get(`${edge.httpUrl}/oidc/callback${search}`);
  }

  async logIn(returnTo?: string): Promise<Response> {
    return this.bring(await this.come(returnTo));
  }

  get token(): string | undefined {
    return this.cookies.get(`${new URL(this.edge.httpUrl).host} tyrum_token`)?.value;
  }

  session(headers: Record<string, string> = { origin: ORIGIN }): Promise<Response> {
    return this.get(`${this.edge.httpUrl}/v1/session`, headers);
  }
}

describe.each(['sqlite', 'postgres'] as const)('a log-in with an OpenID provider on %s', (database) => {
  let issuer: OwnIssuer;
  let edge: TestEdge;
  beforeAll(async () => {
    issuer = await startOwnIssuer(CLIENT);
    edge = await startTestEdge({ database, env: envOf(issuer.url) });
  });
  afterAll(async () => {
    await edge.stop();
    await issuer.stop();
  });

  const next = (login: NextLogin) => issuer.next({ sub: 'alice', groups: ['staff'], ...login });
  const isRefused = async (answer: Response, visitor: Visitor, reason: string, status = 401) => {
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([
      status,
      expect.stringContaining(reason),
    ]);
    expect(visitor.token).toBeUndefined();
  };

  it('begins the same session that a token does, which the page after it can use', async () => {
    await next({ groups: ['else', 'staff'] });
    const visitor = new Visitor(edge);
    expect(await (await visitor.get(`${edge.httpUrl}/oidc`)).json()).toEqual({ available: true });
    const begun = await visitor.get(`${edge.httpUrl}/oidc/login`);
    const [kept = ''] = begun.headers.getSetCookie();
    expect(kept).toMatch(/^tyrum_login=[A-Za-z0-9_-]+; Max-Age=600; Path=\/oidc; .*HttpOnly; Secure; SameSite=Lax$/);
    const asked = new URL(begun.headers.get('location') as string).searchParams;
    expect(Object.fromEntries(asked)).toMatchObject({
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: 'openid',
      code_challenge_method: 'S256',
      code_challenge: expect.any(String),
      state: expect.any(String),
      nonce: expect.any(String),
    });
    const answer = await visitor.logIn('https://console.example/turns?a=1&b=%22#x');
    expect(answer.status).toBe(200);
    const cookies = answer.headers.getSetCookie();
    expect(cookies).toContainEqual(expect.stringMatching(/^tyrum_login=; Path=\/oidc; Expires=Thu, 01 Jan 1970/));
    expect(cookies).toContainEqual(expect.stringMatching(/^tyrum_token=[^;]+; .*HttpOnly; Secure; SameSite=Strict$/));
    // The browser leaves our page for the console's by itself: a redirect would still be the provider's navigation.
    expect(await answer.text()).toContain('content="0;url=https://console.example/turns?a=1&#38;b=%22#x"');
    expect([answer.headers.get('cache-control'), answer.headers.get('referrer-policy')]).toEqual([
      'no-store',
      'no-referrer',
    ]);
    const session = (await (await visitor.session()).json()) as Record<string, string>;
    expect(session).toMatchObject({
      tenant_id: DEFAULT_TENANT_ID,
      role: 'client',
      scopes: ['operator.read', 'operator.write'],
      csrf_token: expect.any(String),
    });
    expect((await visitor.session({})).status).toBe(403);
    const headers = { cookie: `tyrum_token=${visitor.token}`, origin: ORIGIN };
    const socket = openSocket(edge.socketUrl, undefined, { headers });
    await socket.opened();
    await socket.close();

    // Logging out ends the token, and so whoever has a copy of the cookie.
    const ended = await fetch(`${edge.httpUrl}/v1/session`, {
      method: 'DELETE',
      headers: { ...headers, 'x-csrf-token': session['csrf_token'] as string },
    });
    expect(ended.status).toBe(204);
    expect((await fetch(`${edge.httpUrl}/v1/session`, { headers })).status).toBe(401);
  });

  it('may end at another edge than it began at', async () => {
    const other = await startTestEdge({ database: { url: edge.databaseUrl }, env: envOf(issuer.url) });
    try {
      await next({});
      const visitor = new Visitor(edge);
      const search = await visitor.come();
      const kept = visitor.cookies.get(`${new URL(edge.httpUrl).host} tyrum_login`);
      const answer = await fetch(`${other.httpUrl}/oidc/callback${search}`, {
        headers: { cookie: `tyrum_login=${kept?.value}` },
      });
      expect(answer.status).toBe(200);
    } finally {
      await other.stop();
    }
  });

  it('is good once: not with another state, without its own browser, nor a second time', async () => {
    await next({});
    const visitor = new Visitor(edge);
    const stranger = new Visitor(edge);
    const search = await visitor.come();
    await isRefused(await stranger.bring(search), stranger, 'oidc_attempt');
    // Somebody else's answer, put under an attempt that was begun here.
    await stranger.come();
    await isRefused(await stranger.bring(search), stranger, 'oidc_state');
    const another = new Visitor(edge);
    const begun = await another.come();
    const changed = begun.replace(/state=[^&]+/, 'state=guessed');
    await isRefused(await another.bring(changed), another, 'oidc_state');

    const key = `${new URL(edge.httpUrl).host} tyrum_login`;
    const kept = visitor.cookies.get(key);
    expect((await visitor.bring(search)).status).toBe(200);
    const copy = new Visitor(edge);
    copy.cookies.set(key, kept!);
    await isRefused(await copy.bring(search), copy, 'oidc_code');
  });

  it.each([
    'nonce',
    'no_nonce',
    'audience',
    'audiences',
    'expired',
    'issuer',
    'subject',
    'missing',
    'none',
    'symmetric',
    'key',
  ])('is refused when the ID token is wrong: %s', async (fault) => {
    await next({ fault });
    const visitor = new Visitor(edge);
    await isRefused(await visitor.logIn(), visitor, 'oidc_token');
    // The provider itself is all right, and so is the next one.
    await next({});
    expect((await new Visitor(edge).logIn()).status).toBe(200);
  });

  it('is refused when the answer names another issuer, or the user said no', async () => {
    await next({});
    const visitor = new Visitor(edge);
    const search = await visitor.come();
    expect(search).toContain('iss=');
    const mixedUp = search.replace(/iss=[^&]+/, `iss=${encodeURIComponent('https://another.example')}`);
    await isRefused(await visitor.bring(mixedUp), visitor, 'oidc_token');
    await next({ deny: true });
    const unwilling = new Visitor(edge);
    await isRefused(await unwilling.logIn(), unwilling, 'oidc_denied');
  });

  it('goes back to places of this installation only', async () => {
    for (const place of [
      'https://evil.example/',
      '//evil.example',
      'javascript:alert(1)',
      'https://console.example@evil.example',
    ]) {
      const answer = await fetch(`${edge.httpUrl}/oidc/login?return_to=${encodeURIComponent(place)}`);
      expect([answer.status, answer.headers.getSetCookie()]).toEqual([400, []]);
    }
    const long = await fetch(`${edge.httpUrl}/oidc/login?return_to=/${'x'.repeat(1_024)}`);
    expect(long.status).toBe(400);
    await next({});
    expect(await (await new Visitor(edge).logIn()).text()).toContain('url=https://console.example/"');
    expect(await (await new Visitor(edge).logIn('/here')).text()).toContain('url=http://127.0.0.1:1/here"');
  });

  it('is refused and written down when the groups are nothing here, or their tenant is not there', async () => {
    const before = edge.logs.length;
    for (const groups of [[], ['nobody'], ['acme'], 'other', { ops: true }, null, undefined]) {
      await next({ groups });
      const visitor = new Visitor(edge);
      await isRefused(await visitor.logIn(), visitor, 'oidc_groups', 403);
    }
    await eventually(async () => {
      const reasons = (await refusals(edge)).map(({ payload }) => payload as { reason: string; count: number });
      const told = reasons.filter(({ reason }) => reason === 'oidc_groups').reduce((sum, { count }) => sum + count, 0);
      expect(told).toBe(7);
    });
    expect(edge.logs.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('ends the sessions begun with other groups, at the next log-in', async () => {
    const status = async (visitor: Visitor) => (await visitor.session()).status;
    await next({ sub: 'bob', groups: ['ops'] });
    const [first, second] = [new Visitor(edge), new Visitor(edge)];
    await first.logIn();
    await second.logIn();
    expect(await (await second.session()).json()).toMatchObject({ role: 'admin', scopes: [] });
    expect(await status(first)).toBe(200);

    await next({ sub: 'bob', groups: ['staff'] });
    const third = new Visitor(edge);
    await third.logIn();
    expect(await (await third.session()).json()).toMatchObject({ role: 'client' });
    await eventually(async () => expect([await status(first), await status(second)]).toEqual([401, 401]));
    // Others are not touched.
    await next({ sub: 'carol', groups: ['ops'] });
    const carol = new Visitor(edge);
    await carol.logIn();

    await next({ sub: 'bob', groups: [] });
    expect((await new Visitor(edge).logIn()).status).toBe(403);
    await eventually(async () => expect(await status(third)).toBe(401));
    expect(await status(carol)).toBe(200);
  });

  it('is for another tenant where the rule says so, until that is disabled', async () => {
    const admin = await edge.issue();
    const call = (method: string, path: string, body: object) =>
      fetch(`${edge.httpUrl}/v1/tenants${path}`, {
        method,
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const made = (await (await call('POST', '', { slug: 'acme' })).json()) as { tenant: { tenant_id: string } };
    await next({ sub: 'dave', groups: ['acme'] });
    const dave = new Visitor(edge);
    await dave.logIn();
    expect(await (await dave.session()).json()).toMatchObject({ tenant_id: made.tenant.tenant_id });
    await call('PATCH', `/${made.tenant.tenant_id}`, { disabled: true });
    const late = new Visitor(edge);
    await isRefused(await late.logIn(), late, 'oidc_groups', 403);
  });

  it('can be revoked like any token, and is one of twenty at the most', async () => {
    await next({ sub: 'erin' });
    const visitors = Array.from({ length: 22 }, () => new Visitor(edge));
    for (const visitor of visitors) expect((await visitor.logIn()).status).toBe(200);
    await eventually(async () => {
      const held = await Promise.all(visitors.map(async (visitor) => (await visitor.session()).status));
      expect(held).toEqual([401, 401, ...Array<number>(20).fill(200)]);
    });
    const last = visitors.at(-1) as Visitor;
    const { token_id } = (await (await last.session()).json()) as { token_id: string };
    const list = await fetch(`${edge.httpUrl}/v1/tokens`, {
      headers: { authorization: `Bearer ${await edge.issue()}` },
    });
    const { tokens } = (await list.json()) as { tokens: { token_id: string; subject?: string }[] };
    expect(tokens.find((token) => token.token_id === token_id)?.subject).toBe(`${issuer.url} erin`);
    const revoked = await fetch(`${edge.httpUrl}/v1/tokens/${token_id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${await edge.issue()}` },
    });
    expect(revoked.status).toBe(204);
    expect((await last.session()).status).toBe(401);
  });

  it('leaves no code, token, secret or name in the logs', async () => {
    await next({ sub: 'frank-the-canary' });
    const visitor = new Visitor(edge);
    await visitor.logIn();
    await next({ sub: 'frank-the-canary', fault: 'key' });
    await new Visitor(edge).logIn();
    const text = JSON.stringify(edge.logs) + JSON.stringify(await refusals(edge));
    const secrets = visitor.seen.flatMap((url) =>
      ['code', 'state', 'nonce', 'code_challenge'].map((name) => new URL(url).searchParams.get(name)),
    );
    for (const secret of [SECRET, 'frank-the-canary', visitor.token, ...secrets.filter(Boolean)]) {
      expect(text).not.toContain(secret);
    }
    expect(secrets.filter(Boolean).length).toBeGreaterThanOrEqual(4);
  });
});

describe('a provider', () => {
  it('may tell of groups at its userinfo endpoint', async () => {
    const issuer = await startOwnIssuer({ ...CLIENT, groupsIn: 'userinfo' });
    const edge = await startTestEdge({ env: envOf(issuer.url) });
    try {
      await issuer.next({ sub: 'alice', groups: ['ops'] });
      const visitor = new Visitor(edge);
      await visitor.logIn();
      expect(await (await visitor.session()).json()).toMatchObject({ role: 'admin' });
    } finally {
      await edge.stop();
      await issuer.stop();
    }
  });

  it('that is away, calls itself something else or does not know us keeps nobody from starting, and is asked again', async () => {
    const issuer = await startOwnIssuer(CLIENT);
    const { port } = new URL(issuer.url);
    const wrongName = await startTestEdge({ env: envOf(`http://localhost:${port}`) });
    const wrongSecret = await startTestEdge({
      env: envOf(issuer.url, { TYRUM_OIDC_CLIENT_SECRET: 'not-the-secret-they-know' }),
    });
    const away = await startTestEdge({ env: envOf('http://127.0.0.1:9') });
    try {
      for (const edge of [wrongName, away]) {
        const answer = await fetch(`${edge.httpUrl}/oidc/login`, { redirect: 'manual' });
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
      }
      await issuer.next({ sub: 'alice', groups: ['ops'] });
      const visitor = new Visitor(wrongSecret);
      expect((await visitor.logIn()).status).toBe(503);
      expect(wrongSecret.logs).toContainEqual(
        expect.objectContaining({
          err: expect.objectContaining({ message: expect.stringContaining('does not take this client') }),
        }),
      );
    } finally {
      for (const edge of [wrongName, wrongSecret, away]) await edge.stop();
      await issuer.stop();
    }
  });

  it('that is not configured is not there, and one that is badly configured stops the boot', async () => {
    const edge = await startTestEdge();
    for (const path of ['login', 'callback']) expect((await fetch(`${edge.httpUrl}/oidc/${path}`)).status).toBe(404);
    await edge.stop();
    const start = (more: Record<string, string>) => startTestEdge({ env: envOf('http://127.0.0.1:9', more) });
    await expect(start({ TYRUM_OIDC_GROUPS: '[{"group":"ops","tenant":"default","role":"root"}]' })).rejects.toThrow(
      'TYRUM_OIDC_GROUPS [0].role must be admin or client',
    );
    const file = { TYRUM_OIDC_CLIENT_SECRET: '', TYRUM_OIDC_CLIENT_SECRET_FILE: '/nowhere/secret' };
    await expect(start(file)).rejects.toThrow('TYRUM_OIDC_CLIENT_SECRET_FILE must be a file that can be read (ENOENT)');
  });
});
