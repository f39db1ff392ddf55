import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCliConfig } from './config';

let cwd: string;
beforeEach(() => void (cwd = mkdtempSync(join(tmpdir(), 'tyrum-cli-'))));
afterEach(() => rmSync(cwd, { recursive: true }));

it('finds the token that the edge left here', () => {
  mkdirSync(join(cwd, '.tyrum'));
  writeFileSync(join(cwd, '.tyrum', 'admin-token'), 'left-here\n');
  expect(loadCliConfig({}, {}, cwd)).toEqual({
    url: 'http://127.0.0.1:8788',
    token: 'left-here',
    home: join(cwd, '.tyrum'),
  });
});

it('prefers flags to variables and variables to the file', () => {
  mkdirSync(join(cwd, 'home'));
  writeFileSync(join(cwd, 'home', 'admin-token'), 'file');
  const env = { TYRUM_HOME: 'home', TYRUM_URL: 'https://edge.example/', TYRUM_TOKEN: 'variable' };
  expect(loadCliConfig({ token: 'flag' }, env, cwd)).toMatchObject({ url: 'https://edge.example', token: 'flag' });
  expect(loadCliConfig({}, env, cwd).token).toBe('variable');
  expect(loadCliConfig({}, { ...env, TYRUM_TOKEN: '' }, cwd).token).toBe('file');
});

it('says what to do when there is no token', () => {
  expect(() => loadCliConfig({}, {}, cwd)).toThrow(/^no token: pass --token or set TYRUM_TOKEN\. .*admin-token/);
});

it.each(['ftp://x', 'localhost', ''])('refuses %j for a URL', (url) => {
  expect(() => loadCliConfig({ url, token: 't' }, {}, cwd)).toThrow(/^--url: /);
});
