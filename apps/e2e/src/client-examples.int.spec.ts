import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { createSqlitePath, ensureInstalled, freePort } from '@tyrum/test-services';
import { chromium } from 'playwright-core';
import { Deployment, shell } from './deployment';
import { InstalledClient } from './installed-client';

const WORDS = Array.from({ length: 200 }, (_, i) => `word${i} `);

/** A model that streams `WORDS`, whatever it is asked. */
async function startModel(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const content of WORDS) response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      response.end(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Serves a folder's files, as any web server does. */
async function serveFiles(port: number, find: (path: string) => string): Promise<Server> {
  const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    try {
      const file = find(path);
      const content = readFileSync(file);
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'text/plain' }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the examples of the client’s package', () => {
  const database = createSqlitePath();
  let tyrum: Deployment;
  let client: InstalledClient;
  let model: Server;
  let pages: Server;
  let socketUrl: string;
  let pageUrl: string;

  beforeAll(async () => {
    client = new InstalledClient();
    model = await startModel();
    const pagePort = await freePort();
    pageUrl = `http://127.0.0.1:${pagePort}`;
    pages = await serveFiles(pagePort, (path) =>
      path.startsWith('/client/')
        ? client.file(path.slice('/client/'.length))
        : join(client.file('examples', 'browser'), path === '/' ? 'index.html' : path),
    );
    tyrum = new Deployment({
      TYRUM_DATABASE_URL: `sqlite:${database.path}`,
      TYRUM_MODEL_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
      TYRUM_MODEL: 'small',
      TYRUM_ALLOWED_ORIGINS: pageUrl,
    });
    const { port } = await tyrum.start('edge');
    socketUrl = `ws://127.0.0.1:${port}/ws`;
  });
  afterAll(async () => {
    await client.remove();
    await tyrum.stop();
    model.close().closeAllConnections();
    pages.close().closeAllConnections();
    database.remove();
  });

  it('watch-chat prints a reply as it is written, whole and once', async () => {
    const chat = client.example('watch-chat.mjs', socketUrl, tyrum.token, 'What is new?');
    expect(await chat.exited).toBe(0);
    expect(chat.lines).toEqual([WORDS.join('')]);
  });

  it('approvals decides what waits and what comes to', async () => {
    const confirm = (prompt: string) => ({ type: 'Confirm', args: { prompt } });
    const waiting = await tyrum.startTurn('agent:default:a:dm:1', [confirm('Ship it?'), shell('echo shipped')]);
    await tyrum.until(waiting, ['paused']);
    const approvals = client.example('approvals.mjs', socketUrl, tyrum.token, 'approved');
    await approvals.printed(/^approved: Ship it\?$/);
    expect((await tyrum.ended(waiting)).turn.status).toBe('succeeded');
    const later = await tyrum.startTurn('agent:default:a:dm:1', [confirm('And this?')]);
    await approvals.printed(/^approved: And this\?$/);
    expect((await tyrum.ended(later)).turn.status).toBe('succeeded');
    await approvals.kill('SIGTERM');
    const denies = client.example('approvals.mjs', socketUrl, tyrum.token, 'denied');
    const denied = await tyrum.startTurn('agent:default:a:dm:1', [confirm('Really?')]);
    await denies.printed(/^denied: Really\?$/);
    expect((await tyrum.ended(denied)).turn.status).toBe('failed');
  });

  it('the page shows turns as they go, in a browser, which keeps its key', async () => {
    ensureInstalled('chromium', 'the tests need chromium on PATH');
    const before = await tyrum.startTurn('agent:default:p:dm:1', [shell('echo before')]);
    await tyrum.ended(before);
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      const login = async (): Promise<string> => {
        await page.goto(`${pageUrl}/?edge=${encodeURIComponent(socketUrl)}`);
        await page.fill('#token', tyrum.token);
        await page.click('button');
        await page.waitForSelector('#state:has-text("connected as dev_")');
        return (await page.textContent('#state')) as string;
      };
      const device = await login();
      await page.waitForSelector(`#turns li:has-text("${before} succeeded")`);
      const turn = await tyrum.startTurn('agent:default:p:dm:1', [shell('echo now')]);
      await page.waitForSelector(`#turns li:has-text("${turn} completed")`);
      expect(await login()).toBe(device);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
