import { startOwnIssuer, TestBrowser, type OwnIssuer } from '@tyrum/test-services';
import { Deployment } from './deployment';

const REDIRECT = 'http://127.0.0.1:1/oidc/callback';
const SECRET = 'a-secret-of-the-client-4711';

describe('the edge as it is shipped', () => {
  let issuer: OwnIssuer;
  let tyrum: Deployment;
  beforeEach(async () => {
    issuer = await startOwnIssuer({ clientId: 'tyrum', clientSecret: SECRET, redirectUri: REDIRECT });
    tyrum = new Deployment({
      TYRUM_OIDC_ISSUER: issuer.url,
      TYRUM_OIDC_CLIENT_ID: 'tyrum',
      TYRUM_OIDC_CLIENT_SECRET: SECRET,
      TYRUM_OIDC_REDIRECT_URI: REDIRECT,
      TYRUM_OIDC_GROUPS: '[{"group":"ops","tenant":"default","role":"admin"}]',
    });
  });
  afterEach(async () => {
    await tyrum.stop();
    await issuer.stop();
  });

  it('lets people of an OpenID provider in, and says nothing of how', async () => {
    const edge = await tyrum.start('edge', { TYRUM_LOG_LEVEL: 'trace' });
    const url = `http://127.0.0.1:${edge.port}`;
    await issuer.next({ sub: 'alice', groups: ['ops'] });
    const browser = new TestBrowser();
    const begun = await browser.get(`${url}/oidc/login`);
    const back = new URL(await browser.follow(begun.headers.get('location') as string, REDIRECT));
    expect((await browser.get(`${url}/oidc/callback${back.search}`)).status).toBe(200);
    const session = await browser.get(`${url}/v1/session`, { 'sec-fetch-site': 'same-origin' });
    expect(await session.json()).toMatchObject({ role: 'admin' });
    const said = JSON.stringify([edge.logs, edge.output]);
    const token = browser.cookies.get(`127.0.0.1:${edge.port} tyrum_token`)?.value;
    for (const secret of [SECRET, token, back.searchParams.get('code'), back.searchParams.get('state')]) {
      expect(secret).toMatch(/./);
      expect(said).not.toContain(secret);
    }
  });

  it('does not start with a rule that cannot be meant, and says which', async () => {
    const wrong = { TYRUM_OIDC_GROUPS: '[{"group":"ops","tenant":"default","role":"client"}]' };
    const start = tyrum.start('edge', wrong);
    await expect(start).rejects.toThrow(/exited with 78[^]*TYRUM_OIDC_GROUPS \[0\]\.scopes must name what/);
  });
});
