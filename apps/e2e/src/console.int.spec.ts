import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createSqlitePath,
  ensureInstalled,
  freePort,
  startOwnIssuer,
  type AppProcess,
  type OwnIssuer,
} from '@tyrum/test-services';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { Deployment, shell } from './deployment';

const SECRET = 'a-secret-of-the-client-4711';

/** A model that answers in pieces. */
async function startModel(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const content of ['All ', 'is ', 'well.']) {
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      }
      response.end(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the console, in a browser', () => {
  const database = createSqlitePath();
  let model: Server;
  let issuer: OwnIssuer;
  let tyrum: Deployment;
  let edge: AppProcess;
  let url: string;
  let browser: Browser;
  beforeAll(async () => {
    ensureInstalled('chromium', 'the tests need chromium on PATH');
    model = await startModel();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const client = { clientId: 'tyrum', clientSecret: SECRET, redirectUri: `${url}/oidc/callback` };
    issuer = await startOwnIssuer(client);
    tyrum = new Deployment({
      TYRUM_PORT: String(port),
      TYRUM_DATABASE_URL: `sqlite:${database.path}`,
      TYRUM_MODEL_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
      TYRUM_MODEL: 'small',
      TYRUM_WEBHOOK_KEY: 'k'.repeat(32),
      TYRUM_OIDC_ISSUER: issuer.url,
      TYRUM_OIDC_CLIENT_ID: client.clientId,
      TYRUM_OIDC_CLIENT_SECRET: SECRET,
      TYRUM_OIDC_REDIRECT_URI: client.redirectUri,
      TYRUM_OIDC_GROUPS: '[{"group":"staff","tenant":"default","role":"client","scopes":["operator.read"]}]',
    });
    edge = await tyrum.start('edge');
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser.close();
    await tyrum.stop();
    await issuer.stop();
    model.close().closeAllConnections();
    database.remove();
  });

  let context: BrowserContext;
  let page: Page;
  /** What the browser complained about: scripts' errors, failed requests, violations of the policy. */
  let complaints: string[];
  beforeEach(async () => {
    context = await browser.newContext();
    page = await context.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      const { url: at } = message.location();
      // The pages of a log-in with a provider have no icon, and browsers ask for one.
      if (['error', 'warning'].includes(message.type()) && !at.endsWith('/favicon.ico')) {
        complaints.push(`${message.text()} ${at}`);
      }
    });
  });
  afterEach(() => context.close());

  const goTo = (name: string) => page.getByRole('navigation', { name: 'Pages', exact: true }).getByText(name).click();
  const button = (name: string) => page.getByRole('button', { name, exact: true });

  async function logIn(token = tyrum.token): Promise<void> {
    await page.goto(`${url}/ui/`);
    await page.getByLabel('Token').fill(token);
    await button('Log in').click();
    await page.getByText('Live', { exact: true }).waitFor();
  }

  it('logs in, starts a turn and sees it succeed, and logs out', async () => {
    await logIn();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.getByRole('table', { name: 'Instances' }).getByText('edge, worker, scheduler').waitFor();

    await goTo('Turns');
    await button('Start a turn').click();
    await page.getByLabel('Command').fill('echo "<b>hello</b>"');
    await button('Start').click();
    await page.getByRole('heading', { name: 'Turn', exact: true }).waitFor();
    // Nothing is loaded anew: the events of the turn bring it up to date.
    await page.getByRole('article', { name: 'Step 0' }).getByText('succeeded').waitFor();
    expect(await page.getByLabel('Output').textContent()).toBe('<b>hello</b>\n');

    // The page may be loaded anew: the cookie is the session, and no script has the token.
    await page.reload();
    await page.getByLabel('Output').waitFor();
    const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
    expect(kept).not.toContain(tyrum.token.split('.')[3]);

    await button('Log out').click();
    await page.getByLabel('Token').waitFor();
    expect((await context.cookies()).map(({ name }) => name)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('decides an approval that comes while it watches', async () => {
    await logIn();
    await goTo('Approvals');
    await page.getByText('Nothing waits for you.').waitFor();
    const once = await tyrum.startTurn('agent:default:a:dm:1', [{ type: 'Confirm', args: { prompt: 'Ship it?' } }]);
    await page.getByRole('article', { name: 'Ship it?' }).getByRole('button', { name: 'Approve once' }).click();
    expect((await tyrum.ended(once)).turn.status).toBe('succeeded');
    await page.getByText('Nothing waits for you.').waitFor();

    const denied = await tyrum.startTurn('agent:default:a:dm:1', [{ type: 'Confirm', args: { prompt: 'And this?' } }]);
    const asked = page.getByRole('article', { name: 'And this?' });
    await asked.getByRole('button', { name: 'Deny' }).click();
    await asked.getByLabel('Reason').fill('not today');
    await asked.getByRole('button', { name: 'Deny' }).click();
    expect((await tyrum.ended(denied)).turn.status).toBe('failed');
    await page.getByText('Nothing waits for you.').waitFor();
    expect(complaints).toEqual([]);
  });

  it('shows a token once, and its holder only the pages its scopes allow', async () => {
    await logIn();
    await goTo('Tokens');
    await button('New token').click();
    await page.getByLabel('Label').fill('a reader');
    await page.getByLabel('operator.read').check();
    await button('Issue').click();
    const shown = page.getByRole('status', { name: 'The new token' });
    const token = (await shown.locator('code').textContent()) as string;
    await shown.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('row', { name: /a reader.*active/ }).waitFor();
    expect(await page.content()).not.toContain(token);

    await button('Log out').click();
    await logIn(token);
    const offered = page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link');
    expect(await offered.allTextContents()).toEqual(['Conversations', 'Turns', 'Nodes', 'Schedules', 'Webhooks']);
    await goTo('Turns');
    await page.getByRole('table', { name: 'Turns' }).waitFor();
    expect(await button('Start a turn').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('watches the answer to a message arrive', async () => {
    await logIn();
    await goTo('Conversations');
    await button('New conversation').click();
    await page.getByLabel('Message', { exact: true }).fill('How is it?');
    await button('Send').click();
    const messages = page.getByRole('list', { name: 'Messages' });
    await messages.getByText('How is it?').waitFor();
    await messages.getByText('All is well.').waitFor();
    expect(await messages.getByRole('listitem').count()).toBe(2);
    expect(await page.getByLabel('Message', { exact: true }).inputValue()).toBe('');
    await button('Delete').click();
    await button('Delete').click();
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('sends what was not answered again as the same request', async () => {
    await logIn();
    await goTo('Turns');
    await button('Start a turn').click();
    await page.getByLabel('Command').fill('echo same');
    const keys: (string | undefined)[] = [];
    const noteKey = (headers: Record<string, string>) => keys.push(headers['idempotency-key']);
    // The edge takes it, and the answer is lost.
    await page.route('**/v1/workflows', async (route) => {
      noteKey(route.request().headers());
      await route.fetch();
      await route.abort();
    });
    await button('Start').click();
    await page.getByRole('alert').getByText('The edge cannot be reached.').waitFor();
    await page.unroute('**/v1/workflows');
    page.on('request', (request) => request.url().endsWith('/v1/workflows') && noteKey(request.headers()));
    await button('Start').click();
    await page.getByRole('article', { name: 'Step 0' }).getByText('succeeded').waitFor();
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys).toEqual([keys[0], keys[0]]);
    await goTo('Turns');
    const answer = await tyrum.call('GET', '/v1/turns?limit=200');
    const { turns } = (await answer.json()) as { turns: { turn: { turn_id: string } }[] };
    const details = await Promise.all(turns.map(({ turn }) => tyrum.turn(turn.turn_id)));
    expect(details.filter(({ steps }) => steps[0]?.result?.output === 'same\n')).toHaveLength(1);
  });

  it('lets an operator settle a step whose outcome is unknown, and cancel what runs', async () => {
    await logIn();
    const turnId = await tyrum.startTurn('agent:default:c:dm:1', [shell('sleep 600', 'once')]);
    await tyrum.until(turnId, ['running']);
    await page.goto(`${url}/ui/#/turns/${turnId}`);
    await button('Cancel the turn').click();
    await page.getByLabel('Reason').fill('enough');
    await button('Cancel the turn').click();
    await page.locator('.page-head').getByText('cancelled').waitFor();
    expect(complaints).toEqual([]);
  });

  it('makes, shows and removes schedules, webhooks and secrets', async () => {
    await logIn();
    await goTo('Schedules');
    await button('New schedule').click();
    await page.getByLabel('When').selectOption('cron');
    await page.getByLabel('Cron expression').fill('0 9 * * 1-5');
    await page.getByLabel('Time zone').fill('Europe/Berlin');
    await page.getByLabel('Command').fill('date');
    await button('Create').click();
    await page.getByRole('row', { name: /0 9 \* \* 1-5 Europe\/Berlin.*date/ }).waitFor();
    await button('Delete').click();
    await button('Delete').click();
    await page.getByText('Nothing is scheduled.').waitFor();

    await goTo('Webhooks');
    await button('New webhook').click();
    await page.getByLabel('Label').fill('deploys');
    await page.getByLabel('Command').fill('echo deployed');
    await button('Create').click();
    const shown = page.getByRole('status', { name: 'The secret of deploys' });
    const secret = await shown.locator('code').textContent();
    await button('Renew').click();
    await button('Renew').click();
    await page.waitForFunction(`document.querySelector('.shown-once code').textContent !== ${JSON.stringify(secret)}`);

    await goTo('Secrets');
    await button('New secret').click();
    await page.getByLabel('Key').fill('github');
    await page.getByLabel('Value').fill('it is a secret');
    await button('Keep').click();
    await page.getByRole('row', { name: /secret:github.*anywhere.*1/ }).waitFor();
    expect(await page.content()).not.toContain('it is a secret');
    await button('Rotate…').click();
    await page.getByLabel('New value of github').fill('another secret');
    await button('Rotate').click();
    await page.getByRole('row', { name: /secret:github.*anywhere.*2/ }).waitFor();

    await goTo('Audit');
    await page.getByRole('row', { name: /secret\.rotated/ }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('says when it is cut off from the edge, and goes on when that is back', async () => {
    await logIn();
    await goTo('Turns');
    await edge.stop();
    await page.getByText('Disconnected, retrying…').waitFor();
    edge = await tyrum.start('edge');
    const turnId = await tyrum.startTurn('agent:default:o:dm:1', [shell('echo meanwhile')]);
    await tyrum.ended(turnId);
    await page.getByText('Live', { exact: true }).waitFor();
    await page
      .getByRole('row', { name: /agent:default:o:dm:1/ })
      .getByText('succeeded')
      .waitFor();
  });

  it('begins a session at the provider where there is one', async () => {
    await issuer.next({ sub: 'alice', groups: ['staff'] });
    await page.goto(`${url}/ui/`);
    await page.getByRole('link', { name: 'Log in with your provider' }).click();
    await page.getByText('Live', { exact: true }).waitFor();
    expect(page.url()).toMatch(/\/ui\/$/);
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('says what is wrong with a token in the edge’s own words', async () => {
    await page.goto(`${url}/ui/`);
    await page.getByLabel('Token').fill('tyrum-token.v1.nobody');
    await button('Log in').click();
    await page.getByRole('alert').getByText('a valid bearer token is needed').waitFor();
  });
});
