import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { StepOutcome, StepRequest } from '@tyrum/execution';
import type { Action } from '@tyrum/protocol';
import { buildToolRunner, cli, codeOf, fs, openTestArtifacts, resultOf, stepSecrets, TestWorkspace } from './testing';
import { ToolRunnerClient } from './tool-runner-client';
import { WorkspaceExecutor } from './workspace-executor';

const RACES = 2_000;

describe('files in the ToolRunner', () => {
  const { script, remove } = buildToolRunner();
  let evidence: Awaited<ReturnType<typeof openTestArtifacts>>;
  let workspace: TestWorkspace;
  let client: ToolRunnerClient;
  let executor: WorkspaceExecutor;
  let outside: string;

  beforeAll(async () => void (evidence = await openTestArtifacts()));
  afterAll(async () => {
    await evidence.close();
    remove();
  });
  beforeEach(() => {
    workspace = new TestWorkspace();
    outside = join(workspace.root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    client = new ToolRunnerClient({
      script,
      workspaceRoot: workspace.root,
      leaseTtlMs: 30_000,
      env: process.env,
      onExit: () => {},
    });
    executor = new WorkspaceExecutor(client, evidence.artifacts, stepSecrets());
  });
  afterEach(() => {
    client.close();
    workspace.remove();
  });

  const execute = (request: StepRequest): Promise<StepOutcome> =>
    executor.execute(request, { signal: new AbortController().signal, stream: () => {} });
  const run = (action: Action, fields: Partial<StepRequest> = {}) => execute(workspace.step(action, fields));
  const put = (name: string, text: string | Buffer) => writeFileSync(join(workspace.path, name), text);
  const get = (name: string) => readFileSync(join(workspace.path, name), 'utf8');
  const refusal = async (action: Action) => codeOf(await run(action));

  it('writes, reads and edits', async () => {
    await run(fs('write', { path: 'a/b/c.txt', content: 'one\ntwo\nthree\n' }));
    expect(get('a/b/c.txt')).toBe('one\ntwo\nthree\n');
    expect(resultOf(await run(fs('read', { path: './a//b/c.txt' })))).toMatchObject({
      output: 'one\ntwo\nthree\n',
      size_bytes: 14,
      truncated: false,
    });
    expect(resultOf(await run(fs('read', { path: 'a/b/c.txt', offset: 2, limit: 1 })))['output']).toBe('two');
    await run(fs('edit', { path: 'a/b/c.txt', old_text: 'two', new_text: '$& 2' }));
    expect(get('a/b/c.txt')).toBe('one\n$& 2\nthree\n');
    await run(fs('write', { path: 'bytes', content: 'AAH/', encoding: 'base64' }));
    expect(readFileSync(join(workspace.path, 'bytes'))).toEqual(Buffer.from([0, 1, 255]));
    expect(readdirSync(join(workspace.path, 'a/b'))).toEqual(['c.txt']);
  });

  it('edits what is there exactly once, or says so', async () => {
    put('f', 'x x y');
    expect(await refusal(fs('edit', { path: 'f', old_text: 'x', new_text: 'z' }))).toBe('ambiguous_match');
    expect(await refusal(fs('edit', { path: 'f', old_text: 'q', new_text: 'z' }))).toBe('no_match');
    expect(await refusal(fs('edit', { path: 'none', old_text: 'q', new_text: 'z' }))).toBe('not_found');
    expect(get('f')).toBe('x x y');
    expect(
      resultOf(await run(fs('edit', { path: 'f', old_text: 'x', new_text: 'z', replace_all: true })))['replacements'],
    ).toBe(2);
    expect(get('f')).toBe('z z y');
  });

  it('keeps the permissions of what it replaces', async () => {
    put('run.sh', 'echo 1');
    chmodSync(join(workspace.path, 'run.sh'), 0o750);
    await run(fs('edit', { path: 'run.sh', old_text: '1', new_text: '2' }));
    expect(statSync(join(workspace.path, 'run.sh')).mode & 0o777).toBe(0o750);
  });

  it('edits once for one key, whatever attempt asks', async () => {
    put('f', 'a');
    const request = workspace.step(fs('edit', { path: 'f', old_text: 'a', new_text: 'aa' }));
    const first = await execute(request);
    expect(await execute({ ...request, attempt: 2, fencingToken: 2 })).toEqual(first);
    expect(await executor.recover({ ...request, fencingToken: 3 })).toEqual(first);
    expect(get('f')).toBe('aa');
  });

  it('changes nothing under a stale token', async () => {
    put('f', 'a');
    await run(cli('true'), { fencingToken: 9 });
    expect(codeOf(await run(fs('write', { path: 'f', content: 'b' }), { fencingToken: 8 }))).toBe('stale_token');
    expect(codeOf(await run(fs('edit', { path: 'f', old_text: 'a', new_text: 'b' }), { fencingToken: 8 }))).toBe(
      'stale_token',
    );
    expect(get('f')).toBe('a');
  });

  it('lists, finds and searches', async () => {
    mkdirSync(join(workspace.path, 'src'));
    put('src/a.ts', 'const Alpha = 1;\nalpha();\n');
    put('src/b.js', 'alpha();\n');
    put('src/binary', Buffer.from([0, 97, 108]));
    symlinkSync(outside, join(workspace.path, 'link'));
    expect(resultOf(await run(fs('list', {})))['entries']).toEqual([
      { name: 'link', kind: 'symlink' },
      { name: 'src', kind: 'directory' },
    ]);
    expect(resultOf(await run(fs('glob', { pattern: '**/*.{ts,js}' })))['paths']).toEqual(['src/a.ts', 'src/b.js']);
    expect(resultOf(await run(fs('glob', { pattern: '*.ts', path: 'src' })))['paths']).toEqual(['a.ts']);
    expect(
      resultOf(await run(fs('grep', { pattern: '^alpha', ignore_case: true, glob: '**/*.js' })))['matches'],
    ).toEqual([{ path: 'src/b.js', line: 1, text: 'alpha();' }]);
    expect(resultOf(await run(fs('grep', { pattern: 'alpha', path: 'src/a.ts' })))['matches']).toEqual([
      { path: 'src/a.ts', line: 2, text: 'alpha();' },
    ]);
    expect(resultOf(await run(fs('grep', { pattern: 'secret' })))['matches']).toEqual([]);
    expect(await refusal(fs('grep', { pattern: '(' }))).toBe('invalid_pattern');
  });

  it('reads no more than its limit', async () => {
    put('big', 'x'.repeat(1_500_000));
    const result = resultOf(await run(fs('read', { path: 'big' })));
    expect(result).toMatchObject({ size_bytes: 1_500_000, truncated: true });
    expect(String(result['output'])).toHaveLength(1024 * 1024);
    expect(await refusal(fs('edit', { path: 'big', old_text: 'x', new_text: 'y' }))).toBe('too_large');
  });

  it('is not held up by a pattern that never ends', async () => {
    put('long', `${'a'.repeat(60)}!\n`);
    put('a'.repeat(200), '');
    const slow = [run(fs('grep', { pattern: '^(a+)+$' })), run(fs('glob', { pattern: `${'*a'.repeat(20)}b` }))];
    const startedAt = performance.now();
    expect(
      resultOf(await run(cli('echo', ['still here']), { conversationKey: 'agent:default:dm:ann' }))['output'],
    ).toBe('still here\n');
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect((await Promise.all(slow)).map(codeOf)).toEqual(['pattern_too_slow', 'pattern_too_slow']);
  });

  it.each(['/etc/passwd', '..', '../outside/secret', 'a/../../outside/secret', 'a\\..\\b', 'nul\0'])(
    'refuses the path %j',
    async (path) => {
      expect(await refusal(fs('read', { path }))).toBe('invalid_path');
      expect(await refusal(fs('write', { path, content: 'x' }))).toBe('invalid_path');
      expect(await refusal(fs('list', { path }))).toBe('invalid_path');
    },
  );

  it('follows no symbolic link', async () => {
    symlinkSync(outside, join(workspace.path, 'dir'));
    symlinkSync(join(outside, 'secret'), join(workspace.path, 'file'));
    for (const op of ['read', 'list'])
      expect(await refusal(fs(op, { path: 'dir' }))).toMatch(/symlink_refused|not_a_file/);
    expect(await refusal(fs('read', { path: 'file' }))).toBe('symlink_refused');
    expect(await refusal(fs('read', { path: 'dir/secret' }))).toBe('symlink_refused');
    expect(await refusal(fs('write', { path: 'dir/new', content: 'x' }))).toBe('symlink_refused');
    expect(await refusal(fs('write', { path: 'file', content: 'x' }))).toBe('symlink_refused');
    expect(await refusal(fs('edit', { path: 'file', old_text: 'secret', new_text: 'x' }))).toBe('symlink_refused');
    expect(await refusal(fs('glob', { path: 'dir', pattern: '**' }))).toBe('symlink_refused');
    expect(await refusal(fs('grep', { path: 'dir', pattern: '.' }))).toBe('symlink_refused');
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret');
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  it('does not follow a link where the workspace was', async () => {
    rmSync(workspace.path, { recursive: true });
    symlinkSync(outside, workspace.path);
    expect(resultOfOrCode(await run(fs('read', { path: 'secret' })))).not.toBe('succeeded');
    expect(resultOfOrCode(await run(fs('write', { path: 'new', content: 'x' })))).not.toBe('succeeded');
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  it('writes through no hard link', async () => {
    linkSync(join(outside, 'secret'), join(workspace.path, 'linked'));
    expect(await refusal(fs('write', { path: 'linked', content: 'x' }))).toBe('hardlink_refused');
    expect(await refusal(fs('edit', { path: 'linked', old_text: 'secret', new_text: 'x' }))).toBe('hardlink_refused');
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('opens nothing but regular files', async () => {
    execFileSync('mkfifo', [join(workspace.path, 'fifo')]);
    const server = createServer().listen(join(workspace.path, 'socket'));
    await once(server, 'listening');
    mkdirSync(join(workspace.path, 'folder'));
    const special = ['fifo', 'socket', 'folder'];
    // A device needs root to make; the test is the same.
    if (spawnSync('mknod', [join(workspace.path, 'device'), 'c', '1', '5']).status === 0) special.push('device');
    for (const path of special) {
      expect(await refusal(fs('read', { path }))).toBe('not_a_file');
      expect(await refusal(fs('write', { path, content: 'x' }))).toBe('not_a_file');
    }
    expect(resultOf(await run(fs('grep', { pattern: '.' })))['matches']).toEqual([]);
    server.close();
  });

  it(`is not tricked by ${RACES} swaps of a directory for a link`, async () => {
    mkdirSync(join(workspace.path, 'safe'));
    put('safe/secret', 'harmless');
    const racer = spawn(process.execPath, ['-e', RACER, workspace.path, outside], { stdio: 'ignore' });
    const tally = { inside: 0, refused: 0 };
    for (let i = 0; i < RACES; i += 40) {
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, k) => {
          const conversationKey = `agent:default:dm:${k}`;
          const action =
            k % 2 ? fs('read', { path: 'race/secret' }) : fs('write', { path: 'race/new', content: 'escaped' });
          return run(action, { conversationKey });
        }),
      );
      for (const outcome of outcomes) {
        expect(JSON.stringify(outcome)).not.toContain('"output":"secret"');
        if (outcome.kind === 'succeeded') tally.inside += 1;
        else tally.refused += 1;
      }
      expect(readdirSync(outside)).toEqual(['secret']);
    }
    racer.kill('SIGKILL');
    // Both must have happened, or nothing was raced.
    expect(Math.min(tally.inside, tally.refused)).toBeGreaterThan(20);
    expect(existsSync(join(outside, 'new'))).toBe(false);
  });
});

/** Swaps `race` between a directory and a link to the outside, as fast as it can. */
const RACER = `
const fs = require('node:fs');
const [workspace, outside] = process.argv.slice(1);
const race = workspace + '/race', safe = workspace + '/safe', link = workspace + '/link';
fs.symlinkSync(outside, link);
for (;;) {
  try {
    fs.renameSync(safe, race); for (let i = 0; i < 300; i += 1) fs.existsSync(race); fs.renameSync(race, safe);
    fs.renameSync(link, race); for (let i = 0; i < 300; i += 1) fs.existsSync(race); fs.renameSync(race, link);
  } catch { try { if (fs.lstatSync(race).isSymbolicLink()) fs.renameSync(race, link); } catch {} fs.rmSync(race, { recursive: true, force: true }); fs.mkdirSync(safe, { recursive: true }); fs.writeFileSync(safe + '/secret', 'harmless'); }
}
`;

function resultOfOrCode(outcome: StepOutcome): string {
  return outcome.kind === 'failed' ? outcome.error.code : outcome.kind;
}
