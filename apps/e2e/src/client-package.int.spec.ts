import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebKeyPair, TyrumHttp, webDeviceIdentity } from '@tyrum/client';
import { startTestEdge, type TestEdge } from '@tyrum/gateway/testing';
import { buildSync } from 'esbuild';

const ROOT = join(__dirname, '..', '..', '..');
const MODULES = join(ROOT, 'node_modules');

const HTTP_PROGRAM = `
import { createDeviceIdentity, TyrumHttp } from '@tyrum/client';
const [url, token, bound] = process.argv.slice(2);
const turns = await new TyrumHttp({ url, token }).listTurns({ limit: 1 });
console.log(JSON.stringify({ turns: turns.turns.length, device: (await createDeviceIdentity()).deviceId.length }));
`;

const CJS_PROGRAM = `
const { createDeviceIdentity, FileDispatchJournal, serveCapabilities, TyrumHttp } = require('@tyrum/client');
const [url, token] = process.argv.slice(2);
(async () => {
  const turns = await new TyrumHttp({ url, token }).listTurns({ limit: 1 });
  const journal = await FileDispatchJournal.open('kept/journal.jsonl');
  await journal.begin('a');
  const same = require('@tyrum/client/node').serveCapabilities === serveCapabilities;
  console.log(JSON.stringify({ turns: turns.turns.length, entry: await journal.find('a'), same }));
})();
`;

const PAGE = `
import { createWebKeyPair, TyrumClient, webDeviceIdentity } from '@tyrum/client';
export async function main(url, token) {
  const identity = await webDeviceIdentity(await createWebKeyPair());
  const client = new TyrumClient({ url, token, identity });
  await client.connect();
  const { conversations } = await client.request('conversation.list', {});
  client.close();
  return conversations.length;
}
`;

const TYPED = `
import { serveCapabilities, TyrumClient, TyrumHttp, type DeviceIdentity } from '@tyrum/client';
import { FileDispatchJournal } from '@tyrum/client/node';
export async function serve(identity: DeviceIdentity): Promise<void> {
  const node = serveCapabilities({
    url: ['wss://a/ws', 'wss://b/ws'],
    token: 't',
    identity,
    journal: await FileDispatchJournal.open('journal.jsonl'),
    capabilities: [{ id: 'tyrum.fs.read', version: '1.0.0', run: ({ args }) => Promise.resolve(args.path) }],
  });
  await node.approved;
}
export async function use(identity: DeviceIdentity): Promise<string[]> {
  const client = new TyrumClient({ url: 'wss://x/ws', token: 't', identity });
  const { turns } = await client.request('turn.list', { statuses: ['queued'] });
  client.on('turn.completed', (event) => console.log(event.payload.turn_id));
  const started = await new TyrumHttp({ url: 'https://x', token: 't' }).startWorkflow({
    conversation_key: 'agent:default:main',
    steps: [{ type: 'CLI', args: { cmd: 'echo' } }],
  });
  return [...turns.map(({ turn }) => turn.status), started.workflow_run_id];
}
// @ts-expect-error: no such status
export const wrong = (client: TyrumClient) => client.request('turn.list', { statuses: ['lost'] });
`;

describe('the package of the client, installed into a project of its own', () => {
  const project = mkdtempSync(join(tmpdir(), 'tyrum-client-'));
  let edge: TestEdge;
  let token: string;

  const run = (program: string, args: readonly string[]): string =>
    execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  beforeAll(async () => {
    edge = await startTestEdge();
    token = await edge.issue();
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'fresh', private: true, type: 'module' }));
    const packed = run('npm', ['pack', '--silent', join(ROOT, 'dist', 'libs', 'client')]).trim();
    run('npm', ['install', '--silent', '--offline', '--no-audit', '--no-fund', `./${packed}`]);
  });
  afterAll(async () => {
    rmSync(project, { recursive: true, force: true });
    await edge.stop();
  });

  /** Asynchronous, because the edge it talks to lives in this process. */
  async function runNode(file: string, args: readonly string[]): Promise<string> {
    const { execFile } = await import('node:child_process');
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [file, ...args], { cwd: project }, (error, stdout) =>
        error ? reject(error) : resolve(stdout),
      );
    });
  }

  it('runs in Node', async () => {
    writeFileSync(join(project, 'program.mjs'), HTTP_PROGRAM);
    expect(JSON.parse(await runNode('program.mjs', [edge.httpUrl, token]))).toEqual({ turns: 0, device: 56 });
  });

  it('runs in Node by require, too', async () => {
    writeFileSync(join(project, 'program.cjs'), CJS_PROGRAM);
    const said = JSON.parse(await runNode('program.cjs', [edge.httpUrl, token])) as object;
    expect(said).toEqual({ turns: 0, entry: { state: 'begun' }, same: true });
  });

  it('signs each request of a device-bound token, which the edge then takes', async () => {
    const identity = await webDeviceIdentity(await createWebKeyPair());
    const bound = await edge.issue({ deviceId: identity.deviceId });
    const http = new TyrumHttp({ url: edge.httpUrl, token: bound, identity });
    expect(await http.listTurns({ limit: 1 })).toEqual({ turns: [] });
    expect(await http.listTurns({ limit: 1 })).toEqual({ turns: [] });
    await expect(new TyrumHttp({ url: edge.httpUrl, token: bound }).listTurns()).rejects.toMatchObject({ status: 403 });
  });

  it('bundles for a browser without a module of Node, and connects from there', async () => {
    writeFileSync(join(project, 'page.js'), PAGE);
    buildSync({
      entryPoints: [join(project, 'page.js')],
      outfile: join(project, 'bundle.mjs'),
      bundle: true,
      platform: 'browser',
      format: 'esm',
    });
    const bundle = readFileSync(join(project, 'bundle.mjs'), 'utf8');
    expect(bundle).not.toMatch(/\bnode:|\brequire\(|class-validator/);
    // A page has a WebSocket of its own; this Node has not.
    writeFileSync(
      join(project, 'browser.mjs'),
      `import { WebSocket } from ${JSON.stringify(join(MODULES, 'ws', 'wrapper.mjs'))};
       globalThis.WebSocket = WebSocket;
       const { main } = await import('./bundle.mjs');
       console.log(await main(process.argv[2], process.argv[3]));`,
    );
    expect((await runNode('browser.mjs', [edge.socketUrl, token])).trim()).toBe('0');
  });

  it.each([
    ['bundler', 'typed.ts'],
    ['nodenext', 'typed.ts'],
    ['nodenext', 'typed.cts'],
  ])('has types that %s finds from %s, with nothing of Node or ours beside it', (resolution, file) => {
    writeFileSync(join(project, file), TYPED);
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      target: 'es2022',
      module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
      moduleResolution: resolution,
      lib: ['es2023', 'dom'],
      types: [],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    try {
      run(process.execPath, [join(MODULES, 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
    } catch (error) {
      throw new Error((error as { stdout: string }).stdout, { cause: error });
    }
  });
});
