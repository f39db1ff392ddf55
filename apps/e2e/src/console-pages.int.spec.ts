import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createSqlitePath, type AppProcess } from '@tyrum/test-services';
import type { Browser, Page } from 'playwright-core';
import { ConsoleVisitor, startBrowser } from './console-visitor';
import { Deployment, shell } from './deployment';
import { InstalledClient } from './installed-client';

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

/** What an operator does on each page, against an edge on SQLite. */
describe('the pages of the console', () => {
  const database = createSqlitePath();
  let model: Server;
  let tyrum: Deployment;
  let edge: AppProcess;
  let browser: Browser;
  let visitor: ConsoleVisitor;
  let page: Page;
  beforeAll(async () => {
    model = await startModel();
    tyrum = new Deployment({
      TYRUM_DATABASE_URL: `sqlite:${database.path}`,
      TYRUM_LEASE_TTL_MS: '2000',
      TYRUM_MODEL_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
      TYRUM_MODEL: 'small',
      TYRUM_WEBHOOK_KEY: 'k'.repeat(32),
      TYRUM_APPROVAL_TOOLS: 'Filesystem.write',
    });
    edge = await tyrum.start('edge');
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await tyrum.stop();
    model.close().closeAllConnections();
    database.remove();
  });
  beforeEach(async () => {
    visitor = await ConsoleVisitor.comeTo(`http://127.0.0.1:${edge.port}`, browser);
    page = visitor.page;
    await visitor.logIn(tyrum.token);
  });
  afterEach(async () => {
    await visitor.context.close();
    expect(visitor.complaints).toEqual([]);
  });

  it('decides approvals that come while it watches', async () => {
    await visitor.goTo('Approvals');
    await visitor.sees('Nothing waits for you.');
    const given = await tyrum.startTurn('agent:default:a:dm:1', [{ type: 'Confirm', args: { prompt: 'Ship it?' } }]);
    await page.getByRole('article', { name: 'Ship it?' }).getByRole('button', { name: 'Approve once' }).click();
    expect((await tyrum.ended(given)).turn.status).toBe('succeeded');
    await visitor.sees('Nothing waits for you.');

    const denied = await tyrum.startTurn('agent:default:a:dm:1', [{ type: 'Confirm', args: { prompt: 'And this?' } }]);
    await page.getByRole('article', { name: 'And this?' }).getByRole('button', { name: 'Deny' }).click();
    await visitor.fill('Reason', 'not today');
    await visitor.press('Deny');
    expect((await tyrum.ended(denied)).turn.status).toBe('failed');
    await visitor.sees('Nothing waits for you.');
  });

  it('approves a tool always, so that it is not asked again', async () => {
    const write = { type: 'Filesystem', args: { op: 'write', path: 'notes.txt', content: 'one' } };
    await visitor.goTo('Approvals');
    const asked = await tyrum.startTurn('agent:default:a:dm:1', [write]);
    await visitor.confirm('Approve always');
    expect((await tyrum.ended(asked)).turn.status).toBe('succeeded');
    const unasked = await tyrum.startTurn('agent:default:a:dm:1', [write]);
    expect((await tyrum.ended(unasked)).turn.status).toBe('succeeded');
  });

  it('watches the answer to a message arrive', async () => {
    await visitor.goTo('Conversations');
    await visitor.press('New conversation');
    await visitor.fill('Message', 'How is it?');
    await visitor.press('Send');
    const messages = page.getByRole('list', { name: 'Messages' });
    await messages.getByText('How is it?').waitFor();
    await messages.getByText('All is well.').waitFor();
    await page.locator('.reply').getByText('succeeded').waitFor();
    expect(await messages.getByRole('listitem').count()).toBe(2);
    expect(await page.getByLabel('Message', { exact: true }).inputValue()).toBe('');
    await visitor.confirm('Delete');
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
  });

  it('cancels a turn, and lets its artifacts be fetched', async () => {
    const turnId = await tyrum.startTurn('agent:default:c:dm:1', [shell('sleep 600', 'once')]);
    await tyrum.until(turnId, ['running']);
    const headers = { 'content-type': 'text/plain' };
    await tyrum.call('POST', `/v1/artifacts?filename=notes.txt&turn_id=${turnId}`, { some: 'notes' }, headers);
    await visitor.open(`#/turns/${turnId}`);
    await visitor.press('Cancel the turn');
    await visitor.fill('Reason', 'enough');
    await visitor.press('Cancel the turn');
    await page.locator('.page-head').getByText('cancelled').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'notes.txt' }).click();
    expect((await download).suggestedFilename()).toBe('notes.txt');
  });

  it('lets an operator settle a step whose outcome is unknown', async () => {
    const turnId = await tyrum.startTurn('agent:default:u:dm:1', [shell('sleep 600', 'once')]);
    await tyrum.until(turnId, ['running']);
    edge.kill('SIGKILL');
    await edge.exited;
    await visitor.context.close();
    visitor.complaints.length = 0;
    edge = await tyrum.start('edge');
    await tyrum.until(turnId, ['paused']);

    visitor = await ConsoleVisitor.comeTo(`http://127.0.0.1:${edge.port}`, browser);
    page = visitor.page;
    await visitor.logIn(tyrum.token);
    await visitor.open(`#/turns/${turnId}`);
    await page.getByRole('article', { name: 'Step 0' }).getByText('outcome unknown').waitFor();
    await visitor.confirm('It was done');
    await page.locator('.page-head').getByText('succeeded').waitFor();
  });

  it('makes a device a node for what is ticked, and takes that back', async () => {
    const client = new InstalledClient();
    try {
      const made = await tyrum.call('POST', '/v1/tokens', { role: 'node' });
      const { token } = (await made.json()) as { token: string };
      const folders = ['files', 'keep'].map((name) => join(client.folder, name));
      for (const folder of folders) mkdirSync(folder);
      await visitor.goTo('Nodes');
      client.example('file-node.mjs', ...folders, token, `ws://127.0.0.1:${edge.port}/ws`);
      const device = page.getByRole('article', { name: 'files' });
      await device.getByRole('button', { name: 'Approve…' }).click();
      await device.getByLabel('tyrum.fs.read@1.0.0').check();
      await device.getByRole('button', { name: 'Approve' }).click();
      await visitor.seesRow(/files.*online.*tyrum\.fs\.read/);
      await device.getByRole('button', { name: 'Revoke' }).click();
      await visitor.fill('Reason', 'sold');
      await device.getByRole('button', { name: 'Revoke' }).click();
      await visitor.sees('There are no nodes yet.');
    } finally {
      await client.remove();
    }
  });

  it('makes and removes schedules', async () => {
    await visitor.goTo('Schedules');
    await visitor.press('New schedule');
    await page.getByLabel('When').selectOption('cron');
    await visitor.fill('Cron expression', '0 9 * * 1-5');
    await visitor.fill('Time zone', 'Europe/Berlin');
    await visitor.fill('Command', 'date');
    await visitor.press('Create');
    await visitor.seesRow(/0 9 \* \* 1-5 Europe\/Berlin.*date/);
    await visitor.confirm('Delete');
    await visitor.sees('Nothing is scheduled.');
  });

  it('shows the secret of a webhook once, and another when it is renewed', async () => {
    await visitor.goTo('Webhooks');
    await visitor.press('New webhook');
    await visitor.fill('Label', 'deploys');
    await visitor.fill('Command', 'echo deployed');
    await visitor.press('Create');
    const shown = page.getByRole('status', { name: 'The secret of deploys' });
    const secret = (await shown.locator('code').textContent()) as string;
    await shown.getByRole('button', { name: 'Done' }).click();
    expect(await page.content()).not.toContain(secret);
    await visitor.confirm('Renew');
    expect(await shown.locator('code').textContent()).not.toBe(secret);
    await visitor.confirm('Delete');
    await visitor.sees('There are no webhooks.');
  });

  it('has desktops made, stopped, started and deleted', async () => {
    await visitor.goTo('Desktops');
    await visitor.press('New desktop');
    await visitor.fill('Label', 'browser');
    await visitor.fill('Width', '1024');
    await visitor.press('Create');
    await visitor.seesRow(/browser pending 1024 × 800/);
    await visitor.confirm('Stop');
    await visitor.seesRow(/browser stopped/);
    await visitor.press('Start');
    await visitor.seesRow(/browser pending/);
    await visitor.confirm('Delete');
    await visitor.sees('There are no desktops.');
  });

  it('keeps secrets without ever showing them, and the audit tells of them', async () => {
    await visitor.goTo('Secrets');
    await visitor.press('New secret');
    await visitor.fill('Key', 'github');
    await visitor.fill('Value', 'it is a secret\nof two lines\n');
    await visitor.press('Keep');
    await visitor.seesRow(/secret:github.*anywhere.*1/);
    expect(await page.content()).not.toContain('it is a secret');
    await visitor.press('Rotate…');
    await visitor.fill('New value of github', 'another secret');
    await visitor.press('Rotate');
    await visitor.seesRow(/secret:github.*anywhere.*2/);
    await visitor.confirm('Delete');
    await visitor.sees('There are no secrets.');
    await visitor.goTo('Audit');
    await visitor.seesRow(/secret\.deleted/);
  });

  it('turns the pages of a long list', async () => {
    await Promise.all(
      Array.from({ length: 51 }, (_, i) => tyrum.startTurn(`agent:default:many:dm:${i}`, [shell('true')])),
    );
    await visitor.goTo('Conversations');
    await visitor.press('Older');
    await visitor.sees('Page 2');
    await visitor.press('Newer');
    await visitor.sees('Page 1');
    await visitor.goTo('Turns');
    await page.getByLabel('Status').selectOption('given up');
    await visitor.sees('There are no such turns.');
  });
});
