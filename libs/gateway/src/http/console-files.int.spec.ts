import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestEdge, type TestEdge } from '../testing';

const SECRET = 'what lies beside it';
const HASHED = 'main-ABCD1234.js';

let around: string;
let edge: TestEdge;
beforeAll(async () => {
  around = mkdtempSync(join(tmpdir(), 'tyrum-console-'));
  const consoleFolder = join(around, 'console');
  mkdirSync(consoleFolder);
  writeFileSync(join(around, 'secret.txt'), SECRET);
  writeFileSync(join(consoleFolder, 'index.html'), '<!doctype html><title>Tyrum</title>');
  writeFileSync(join(consoleFolder, HASHED), 'export {};');
  writeFileSync(join(consoleFolder, 'main-ABCD1234.css'), 'body {}');
  writeFileSync(join(consoleFolder, '.hidden'), SECRET);
  edge = await startTestEdge({ consoleFolder });
});
afterAll(async () => {
  await edge.stop();
  rmSync(around, { recursive: true });
});

const get = (path: string, init: RequestInit = {}) => fetch(`${edge.httpUrl}${path}`, { redirect: 'manual', ...init });

/** Sends the path as it stands; `fetch` would take the dots out of it. */
function rawGet(path: string): Promise<string> {
  const socket = connect(Number(new URL(edge.httpUrl).port), '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
  return socket.setEncoding('utf8').reduce((text, part: string) => text + part, '');
}

it('is a folder: without the slash there is a redirect to it', async () => {
  const answer = await get('/ui');
  expect([answer.status, answer.headers.get('location')]).toEqual([308, '/ui/']);
});

it.each([
  ['/ui/', 'text/html; charset=utf-8', 'no-cache'],
  ['/ui/index.html', 'text/html; charset=utf-8', 'no-cache'],
  [`/ui/${HASHED}`, 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/ui/main-ABCD1234.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
])('serves %s to everybody, as %s and with %s', async (path, type, caching) => {
  const answer = await get(path);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe(type);
  expect(answer.headers.get('cache-control')).toBe(caching);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  const etag = answer.headers.get('etag') as string;
  const held = { 'if-none-match': etag, 'cache-control': 'max-age=0' };
  expect((await get(path, { headers: held })).status).toBe(304);
});

it('notices another page of the same length and time', async () => {
  const path = join(around, 'console', 'index.html');
  const { mtime } = statSync(path);
  const text = readFileSync(path, 'utf8');
  const before = (await get('/ui/')).headers.get('etag') as string;
  writeFileSync(path, text.replace('Tyrum', 'Other'));
  utimesSync(path, mtime, mtime);
  const after = await get('/ui/', { headers: { 'if-none-match': before, 'cache-control': 'max-age=0' } });
  expect(after.status).toBe(200);
  writeFileSync(path, text);
});

it('lets a page run and load only what is its own', async () => {
  const policy = (await get('/ui/')).headers.get('content-security-policy');
  expect(policy).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
      "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  );
});

it('answers a problem for what is not there', async () => {
  for (const path of ['/ui/other.js', '/ui/deep/er', '/ui/.hidden', '/ui/%zz']) {
    const answer = await get(path);
    expect([path, answer.headers.get('content-type')]).toEqual([path, 'application/problem+json']);
    expect([400, 404]).toContain(answer.status);
    expect(await answer.text()).not.toContain(SECRET);
  }
  expect((await get('/ui/', { method: 'POST' })).status).toBe(404);
});

it.each([
  '/ui/../secret.txt',
  '/ui/..%2fsecret.txt',
  '/ui/%2e%2e/secret.txt',
  '/ui/%2e%2e%2fsecret.txt',
  '/ui/..%5csecret.txt',
  '/ui//../secret.txt',
  '/ui/x/../../secret.txt',
  '/ui/%252e%252e/secret.txt',
])('shows nothing beside the folder at %s', async (path) => {
  const answer = await rawGet(path);
  expect(answer).toMatch(/^HTTP\/1\.1 40[034] /);
  expect(answer).not.toContain(SECRET);
});

it('counts what it serves by the route and not by the path', async () => {
  await get('/ui/whatever');
  const metrics = await (await get('/metrics')).text();
  expect(metrics).toContain('GET /ui{/*file}');
  expect(metrics).not.toContain('whatever');
});

it('says so where there are no files, and the edge serves the rest', async () => {
  const bare = await startTestEdge({ consoleFolder: join(around, 'nowhere') });
  try {
    const answer = await fetch(`${bare.httpUrl}/ui/`);
    expect([answer.status, await answer.json()]).toEqual([
      404,
      expect.objectContaining({ detail: 'this edge has no console' }),
    ]);
    expect((await fetch(`${bare.httpUrl}/livez`)).status).toBe(200);
  } finally {
    await bare.stop();
  }
});

it('tells that there is no provider to log in with', async () => {
  expect(await (await get('/oidc')).json()).toEqual({ available: false });
});

describe('the console’s own origin', () => {
  const begin = async (origin: string) =>
    fetch(`${edge.httpUrl}/v1/session`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await edge.issue()}`, origin },
    });

  it('begins sessions where the edge listens for this host alone', async () => {
    const port = new URL(edge.httpUrl).port;
    for (const name of ['127.0.0.1', 'localhost']) {
      expect((await begin(`http://${name}:${port}`)).status).toBe(200);
    }
  });

  it('is exact: neither another port nor a name that was made to point here will do', async () => {
    const port = Number(new URL(edge.httpUrl).port);
    for (const origin of [
      `http://127.0.0.1:${port + 1}`,
      'http://127.0.0.1',
      `https://127.0.0.1:${port}`,
      `http://127.0.0.2:${port}`,
      `http://rebound.example:${port}`,
      `http://localhost.example:${port}`,
      'null',
    ]) {
      expect([origin, (await begin(origin)).status]).toEqual([origin, 403]);
    }
  });

  it('is allowed to nobody where others reach the edge', async () => {
    const open = await startTestEdge({ env: { TYRUM_HOST: '0.0.0.0' } });
    try {
      const headers = { authorization: `Bearer ${await open.issue()}`, origin: open.httpUrl };
      expect((await fetch(`${open.httpUrl}/v1/session`, { method: 'POST', headers })).status).toBe(403);
    } finally {
      await open.stop();
    }
  });
});
