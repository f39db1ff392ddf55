import { createSqlitePath, freePort, startOwnIssuer, type AppProcess, type OwnIssuer } from '@tyrum/test-services';
import type { Browser, Page } from 'playwright-core';
import { ConsoleVisitor, startBrowser } from './console-visitor';
import { Deployment, shell } from './deployment';

const SECRET = 'a-secret-of-the-client-4711';

/** Who comes in, how, and what the page does when the way to the edge is bad. */
describe('the console, in a browser', () => {
  const database = createSqlitePath();
  let issuer: OwnIssuer;
  let tyrum: Deployment;
  let edge: AppProcess;
  let url: string;
  let browser: Browser;
  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const client = { clientId: 'tyrum', clientSecret: SECRET, redirectUri: `${url}/oidc/callback` };
    issuer = await startOwnIssuer(client);
    tyrum = new Deployment({
      TYRUM_PORT: String(port),
      TYRUM_DATABASE_URL: `sqlite:${database.path}`,
      TYRUM_OIDC_ISSUER: issuer.url,
      TYRUM_OIDC_CLIENT_ID: client.clientId,
      TYRUM_OIDC_CLIENT_SECRET: SECRET,
      TYRUM_OIDC_REDIRECT_URI: client.redirectUri,
      TYRUM_OIDC_GROUPS: '[{"group":"staff","tenant":"default","role":"client","scopes":["operator.read"]}]',
    });
    edge = await tyrum.start('edge');
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await tyrum.stop();
    await issuer.stop();
    database.remove();
  });

  let visitor: ConsoleVisitor;
  let page: Page;
  beforeEach(async () => {
    visitor = await ConsoleVisitor.comeTo(url, browser);
    page = visitor.page;
  });
  afterEach(() => visitor.context.close());

  it('logs in, starts a turn and sees it succeed, and logs out', async () => {
    await visitor.logIn(tyrum.token);
    await page.getByRole('table', { name: 'Instances' }).getByText('edge, worker, scheduler').waitFor();
    await visitor.goTo('Turns');
    await visitor.press('Start a turn');
    await visitor.fill('Command', 'echo "<b>hello</b>"');
    await visitor.press('Start');
    // Nothing is loaded anew: the events of the turn bring it up to date.
    await page.getByRole('article', { name: 'Step 0' }).getByText('succeeded').waitFor();
    expect(await page.getByLabel('Output').textContent()).toBe('<b>hello</b>\n');

    // The page may be loaded anew: the cookie is the session, and no script has the token.
    await page.reload();
    await page.getByLabel('Output').waitFor();
    const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
    expect(kept).not.toContain(tyrum.token.split('.')[3]);

    await visitor.press('Log out');
    await page.getByLabel('Token').waitFor();
    expect(await visitor.context.cookies()).toEqual([]);
    expect(visitor.complaints).toEqual([]);
  });

  it('shows a token once, and its holder only the pages its scopes allow', async () => {
    await visitor.logIn(tyrum.token);
    await visitor.goTo('Tokens');
    await visitor.press('New token');
    await visitor.fill('Label', 'a reader');
    await page.getByLabel('operator.read').check();
    await visitor.press('Issue');
    const shown = page.getByRole('status', { name: 'The new token' });
    const token = (await shown.locator('code').textContent()) as string;
    await shown.getByRole('button', { name: 'Done' }).click();
    await visitor.seesRow(/a reader.*active/);
    expect(await page.content()).not.toContain(token);

    await visitor.press('Log out');
    await visitor.logIn(token);
    const offered = await visitor.menu.getByRole('link').allTextContents();
    expect(offered).toEqual(['Conversations', 'Turns', 'Nodes', 'Desktops', 'Schedules', 'Webhooks']);
    await visitor.goTo('Turns');
    await page.getByRole('heading', { name: 'Turns' }).waitFor();
    expect(await visitor.button('Start a turn').count()).toBe(0);
    await visitor.open('#/tokens');
    await visitor.sees('There is no such page, or your token does not allow it.');
    expect(visitor.complaints).toEqual([]);
  });

  it('goes back to the log-in when the token is revoked', async () => {
    const made = await tyrum.call('POST', '/v1/tokens', { role: 'client', scopes: ['operator.read'] });
    const { token, token_id } = (await made.json()) as { token: string; token_id: string };
    await visitor.logIn(token);
    await tyrum.call('DELETE', `/v1/tokens/${token_id}`);
    await visitor.goTo('Turns');
    await visitor.sees('The session is over. Log in again.');
    await page.reload();
    await page.getByLabel('Token').waitFor();
  });

  it('says what is wrong with a token in the edge’s own words', async () => {
    await visitor.open();
    await visitor.fill('Token', 'tyrum-token.v1.nobody');
    await visitor.press('Log in');
    await page.getByRole('alert').getByText('a valid bearer token is needed').waitFor();
  });

  it('begins a session at the provider where there is one', async () => {
    await issuer.next({ sub: 'alice', groups: ['staff'] });
    await visitor.open();
    await page.getByRole('link', { name: 'Log in with your provider' }).click();
    await visitor.isLive();
    expect(page.url()).toMatch(/\/ui\/$/);
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
    expect(visitor.complaints).toEqual([]);
  });

  it('sends what was not answered again as the same request', async () => {
    await visitor.logIn(tyrum.token);
    await visitor.goTo('Turns');
    await visitor.press('Start a turn');
    await visitor.fill('Command', 'echo same');
    const keys: (string | undefined)[] = [];
    // The edge takes it, and the answer is lost.
    await page.route('**/v1/workflows', async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      await route.fetch();
      await route.abort();
    });
    await visitor.press('Start');
    await page.getByRole('alert').getByText('The edge cannot be reached.').waitFor();
    await page.unroute('**/v1/workflows');
    const again = page.waitForRequest('**/v1/workflows');
    await visitor.press('Start');
    keys.push((await again).headers()['idempotency-key']);
    await page.getByRole('article', { name: 'Step 0' }).getByText('succeeded').waitFor();
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys).toEqual([keys[0], keys[0]]);
    const answer = await tyrum.call('GET', '/v1/turns?limit=200');
    const { turns } = (await answer.json()) as { turns: { turn: { turn_id: string } }[] };
    const details = await Promise.all(turns.map(({ turn }) => tyrum.turn(turn.turn_id)));
    expect(details.filter(({ steps }) => steps[0]?.result?.output === 'same\n')).toHaveLength(1);
  });

  it('says when it is cut off from the edge, and goes on when that is back', async () => {
    await visitor.logIn(tyrum.token);
    await visitor.goTo('Turns');
    await edge.stop();
    await visitor.sees('Disconnected, retrying…');
    edge = await tyrum.start('edge');
    const turnId = await tyrum.startTurn('agent:default:o:dm:1', [shell('echo meanwhile')]);
    await tyrum.ended(turnId);
    await visitor.isLive();
    await visitor.seesRow(/succeeded.*agent:default:o:dm:1/);
  });
});
