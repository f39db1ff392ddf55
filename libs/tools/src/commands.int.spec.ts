import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { AbortReason, StepOutcome, StepRequest } from '@tyrum/execution';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { buildToolRunner, cli, codeOf, openTestArtifacts, resultOf, stepSecrets, TestWorkspace } from './testing';
import { ToolRunnerClient } from './tool-runner-client';
import { WorkspaceExecutor } from './workspace-executor';

describe('commands in the ToolRunner', () => {
  const { script, remove } = buildToolRunner();
  const clients: ToolRunnerClient[] = [];
  let workspace: TestWorkspace;
  let evidence: Awaited<ReturnType<typeof openTestArtifacts>>;
  let exits: (string | null)[];
  let executor: WorkspaceExecutor;

  beforeAll(async () => void (evidence = await openTestArtifacts()));
  afterAll(async () => {
    await evidence.close();
    remove();
  });
  beforeEach(() => {
    workspace = new TestWorkspace();
    exits = [];
    executor = newWorker();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    workspace.remove();
  });

  function newWorker(): WorkspaceExecutor {
    const client = new ToolRunnerClient({
      script,
      workspaceRoot: workspace.root,
      leaseTtlMs: 30_000,
      env: {
        ...process.env,
        TYRUM_DATABASE_URL: 'postgres://secret',
        TYRUM_MASTER_KEY: 'secret',
        AWS_SECRET: 'secret',
      },
      onExit: (_code, signal) => exits.push(signal),
    });
    clients.push(client);
    return new WorkspaceExecutor(client, evidence.artifacts, stepSecrets());
  }

  const run = (request: StepRequest, by = executor, signal: AbortSignal = new AbortController().signal) =>
    by.execute(request, { signal, stream: () => {} });
  const inWorkspace = (name: string) => join(workspace.path, name);
  const content = (name: string) =>
    existsSync(inWorkspace(name)) ? readFileSync(inWorkspace(name), 'utf8') : undefined;
  /** Waits until a command has written this file: it has begun. */
  const begun = (name: string) => eventually(() => expect(content(name)?.trim()).toBeTruthy());
  const isAlive = (pid: number) => {
    try {
      // A zombie still takes signals; what counts is whether it still runs.
      return process.kill(pid, 0) && !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };
  const pidIn = (name: string) => Number(content(name));
  const allGone = (...names: string[]) =>
    eventually(() => expect(names.filter((name) => isAlive(pidIn(name)))).toEqual([]), { timeoutMs: 5_000 });

  /** Writes its runner's, its child's and its own process id, then waits. */
  const sleeper = (more: object = {}) =>
    cli('sh', ['-c', 'echo $PPID > runner; sleep 100 & echo $! > child; echo $$ > leader; sleep 100'], more);

  it('answers with output, exit code and duration', async () => {
    const outcome = await run(workspace.step(cli('sh', ['-c', 'echo out; sleep 0.05; echo err >&2; pwd'])));
    expect(resultOf(outcome)).toMatchObject({
      output: `out\nerr\n${workspace.path}\n`,
      exit_code: 0,
      truncated: false,
    });
    const failed = await run(workspace.step(cli('sh', ['-c', 'echo why; exit 3'])));
    expect(failed).toMatchObject({
      kind: 'failed',
      retryable: false,
      error: { code: 'exit_code' },
      result: { output: 'why\n', exit_code: 3 },
    });
    expect(codeOf(await run(workspace.step(cli('no-such-command'))))).toBe('command_not_found');
  });

  it('passes arguments as they are, with no shell, and nothing to read', async () => {
    const odd = ['a b', '$HOME', '`id`', '"', "'", '*', ''];
    const outcome = await run(workspace.step(cli('printf', ['%s|', ...odd])));
    expect(resultOf(outcome)['output']).toBe(odd.map((arg) => `${arg}|`).join(''));
    expect(resultOf(await run(workspace.step(cli('cat'))))['output']).toBe('');
  });

  it('lets nothing of the worker’s environment through', async () => {
    const request = workspace.step(cli('printenv'), { fencingToken: 42 });
    const lines = String(resultOf(await run(request))['output'])
      .trim()
      .split('\n');
    const seen = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    expect(seen).toMatchObject({
      HOME: workspace.path,
      TYRUM_TURN_ID: request.turnId,
      TYRUM_IDEMPOTENCY_KEY: request.idempotencyKey,
      TYRUM_FENCING_TOKEN: '42',
    });
    const allowed = [
      'PATH',
      'LANG',
      'LC_ALL',
      'TZ',
      'TMPDIR',
      'SYSTEMROOT',
      'HOME',
      'TYRUM_TURN_ID',
      'TYRUM_IDEMPOTENCY_KEY',
      'TYRUM_FENCING_TOKEN',
    ];
    expect(Object.keys(seen).filter((name) => !allowed.includes(name))).toEqual([]);
    expect(lines.join()).not.toContain('secret');
    const peek = cli('sh', ['-c', 'tr "\\0" "\\n" < /proc/$PPID/environ']);
    const runner = String(resultOf(await run(workspace.step(peek, { fencingToken: 42 })))['output']);
    expect(runner).toContain('PATH=');
    expect(runner).not.toMatch(/TYRUM_|secret/);
  });

  it('keeps long output whole as an artifact and cuts it in the answer', async () => {
    const request = workspace.step(cli('sh', ['-c', 'echo first; seq 1 40000; echo last']));
    const result = resultOf(await run(request));
    expect(result['truncated']).toBe(true);
    expect(String(result['output']).length).toBeLessThan(66_000);
    expect(result['output']).toMatch(/^first\n[\s\S]+bytes left out[\s\S]+\nlast\n$/);
    const [artifact] = await evidence.artifacts.listByTurn(DEFAULT_TENANT_ID, request.turnId);
    expect(result['artifacts']).toEqual([artifact]);
    const open = await evidence.artifacts.open({ tenantId: DEFAULT_TENANT_ID }, artifact?.artifact_id ?? '');
    const whole = ['first', ...Array.from({ length: 40_000 }, (_, i) => i + 1), 'last', ''].join('\n');
    expect(open && (await text(open.stream))).toBe(whole);
  });

  it('makes text of bytes that are none, without NUL', async () => {
    const outcome = await run(workspace.step(cli('printf', ['a\\377b\\000c'])));
    expect(resultOf(outcome)['output']).toBe('a\ufffdbc');
  });

  it('ends a command that takes too long, and its grandchildren', async () => {
    const outcome = await run(workspace.step(sleeper({ timeout_ms: 300 })));
    expect(outcome).toMatchObject({
      kind: 'failed',
      retryable: false,
      error: { code: 'timeout' },
      result: { timed_out: true },
    });
    expect([pidIn('leader'), pidIn('child')].filter(isAlive)).toEqual([]);
    const again = await run(workspace.step(sleeper({ timeout_ms: 300, effect: 'idempotent' })));
    expect(again).toMatchObject({ kind: 'failed', retryable: true });
  });

  it('makes a command end that does not want to', async () => {
    const stubborn = cli('sh', ['-c', 'trap "" TERM; echo $$ > leader; while :; do sleep 0.1; done'], {
      timeout_ms: 300,
    });
    expect(codeOf(await run(workspace.step(stubborn)))).toBe('timeout');
    expect(isAlive(pidIn('leader'))).toBe(false);
  });

  it('ends what a command leaves behind, and does not wait for what left its group', async () => {
    await run(workspace.step(cli('sh', ['-c', 'sleep 100 & echo $! > child'])));
    expect(isAlive(pidIn('child'))).toBe(false);
    const startedAt = performance.now();
    await run(
      workspace.step(
        cli('sh', ['-c', 'setsid sh -c "echo \\$\\$ > away; exec sleep 20" & while [ ! -s away ]; do :; done']),
      ),
    );
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    process.kill(pidIn('away'), 'SIGKILL');
  });

  it.each<[AbortReason, 'once' | 'idempotent', StepOutcome['kind']]>([
    ['cancelled', 'once', 'interrupted'],
    ['lease_lost', 'once', 'unknown'],
    ['draining', 'once', 'unknown'],
    ['draining', 'idempotent', 'interrupted'],
  ])('stopped because %s, a step that is %s is %s', async (reason, effect, kind) => {
    const abort = new AbortController();
    const running = run(workspace.step(sleeper(), { effect }), executor, abort.signal);
    await begun('leader');
    abort.abort(reason);
    expect((await running).kind).toBe(kind);
    expect([pidIn('leader'), pidIn('child')].filter(isAlive)).toEqual([]);
  });

  it('does not begin what was stopped before', async () => {
    const outcome = await run(workspace.step(cli('touch', ['begun'])), executor, AbortSignal.abort('draining'));
    expect(outcome.kind).toBe('interrupted');
    expect(content('begun')).toBeUndefined();
  });

  it('has one effect for one key, across attempts, tokens and runners', async () => {
    const request = workspace.step(cli('sh', ['-c', 'echo x >> effects; echo done']));
    const first = await run(request);
    const later = { ...request, attempt: 2, fencingToken: 7 };
    expect(await run(later)).toEqual(first);
    expect(await run({ ...later, attempt: 3 }, newWorker())).toEqual(first);
    expect(await newWorker().recover({ ...request, fencingToken: 8 })).toEqual(first);
    expect(content('effects')).toBe('x\n');
    expect(codeOf(await run({ ...later, fencingToken: 9, action: cli('touch', ['other']) }))).toBe(
      'idempotency_key_reused',
    );
    expect(content('other')).toBeUndefined();
  });

  it('refuses a stale token, whichever runner saw the newer one', async () => {
    const other = newWorker();
    await run(workspace.step(cli('true'), { fencingToken: 5 }));
    const stale = workspace.step(cli('touch', ['stale']), { fencingToken: 4 });
    expect(codeOf(await run(stale))).toBe('stale_token');
    expect(codeOf(await run(stale, other))).toBe('stale_token');
    expect(content('stale')).toBeUndefined();
    const elsewhere = { ...stale, conversationKey: 'agent:default:dm:ann' };
    expect(resultOf(await run(elsewhere, other))['exit_code']).toBe(0);
  });

  it('ends what runs under a lower token before anything begins under a higher one', async () => {
    const old = run(workspace.step(sleeper()));
    await begun('leader');
    const probe = cli('sh', ['-c', 'kill -0 $(cat leader) 2>/dev/null && echo alive || echo gone']);
    expect(resultOf(await run(workspace.step(probe, { fencingToken: 2 })))['output']).toBe('gone\n');
    expect((await old).kind).toBe('unknown');
  });

  it('does not know what came of a once step whose runner was killed, and runs the next one', async () => {
    const once = run(workspace.step(sleeper()));
    const safe = run(workspace.step(sleeper(), { effect: 'idempotent', conversationKey: 'agent:default:dm:ann' }));
    await begun('leader');
    const request = workspace.step(cli('sh', ['-c', 'echo $PPID > runner']), {
      conversationKey: 'agent:default:dm:bob',
    });
    await run(request);
    process.kill(pidIn('runner'), 'SIGKILL');
    expect((await once).kind).toBe('unknown');
    expect(await safe).toMatchObject({ kind: 'failed', retryable: true });
    await allGone('leader', 'child');
    expect(exits).toEqual(['SIGKILL']);
    expect(resultOf(await run(workspace.step(cli('true'))))['exit_code']).toBe(0);
  });

  it('knows after a crash what had completed, and that nobody knows of what had not', async () => {
    const request = workspace.step(sleeper());
    void run(request);
    await begun('leader');
    await run(workspace.step(cli('sh', ['-c', 'echo $PPID > runner']), { conversationKey: 'agent:default:dm:bob' }));
    process.kill(pidIn('runner'), 'SIGKILL');
    await allGone('leader', 'child');
    const worker = newWorker();
    expect(await worker.recover({ ...request, fencingToken: 2 })).toBeUndefined();
    expect((await run({ ...request, fencingToken: 2 }, worker)).kind).toBe('unknown');
  });

  it('takes everything down when its worker is killed', async () => {
    const parent = join(workspace.root, 'parent.js');
    writeFileSync(parent, PARENT);
    const request = workspace.step(sleeper());
    const worker = spawn(process.execPath, [parent, script, workspace.root, JSON.stringify(toMessage(request))], {
      stdio: 'inherit',
    });
    await begun('leader');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    try {
      await allGone('leader', 'child', 'runner');
    } finally {
      if (isAlive(pidIn('runner'))) process.kill(pidIn('runner'), 'SIGKILL');
    }
  });

  it('stops its commands when its worker is stopped for longer than its lease', async () => {
    const parent = join(workspace.root, 'parent.js');
    writeFileSync(parent, PARENT);
    const worker = spawn(
      process.execPath,
      [parent, script, workspace.root, JSON.stringify(toMessage(workspace.step(sleeper())))],
      { stdio: 'inherit' },
    );
    await begun('leader');
    worker.kill('SIGSTOP');
    await allGone('leader', 'child');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
  });

  it('starts in a folder of the workspace and in no other', async () => {
    await run(workspace.step(cli('mkdir', ['sub'])));
    expect(resultOf(await run(workspace.step(cli('pwd', [], { cwd: 'sub' }))))['output']).toBe(
      `${workspace.path}/sub\n`,
    );
    await run(workspace.step(cli('ln', ['-s', '/', 'out'])));
    expect(codeOf(await run(workspace.step(cli('pwd', [], { cwd: 'out' }))))).toBe('symlink_refused');
    expect(codeOf(await run(workspace.step(cli('pwd', [], { cwd: '..' }))))).toBe('invalid_path');
    expect(codeOf(await run(workspace.step(cli('pwd', [], { cwd: '/' }))))).toBe('invalid_path');
    expect(codeOf(await run(workspace.step(cli('pwd'), { agentKey: '..' })))).toBe('invalid_agent');
  });

  it('runs many steps at once', async () => {
    const steps = Array.from({ length: 40 }, (_, i) =>
      workspace.step(cli('sh', ['-c', `sleep 0.5; echo ${i}`]), { conversationKey: `agent:default:dm:${i}` }),
    );
    const startedAt = performance.now();
    const outputs = (await Promise.all(steps.map((step) => run(step)))).map((outcome) => resultOf(outcome)['output']);
    expect(outputs).toEqual(steps.map((_, i) => `${i}\n`));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

/** A worker as small as can be: it starts a runner, gives it one step, and tells it every 100 ms that it is alive. */
const PARENT = `
const { fork } = require('node:child_process');
const [script, root, message] = process.argv.slice(2);
const runner = fork(script, [root, '500'], { env: { PATH: process.env.PATH } });
runner.send(JSON.parse(message));
setInterval(() => runner.send({ kind: 'heartbeat' }), 100);
`;

function toMessage({
  tenantId,
  agentKey,
  conversationKey,
  turnId,
  effect,
  attempt,
  idempotencyKey,
  fencingToken,
  action,
}: StepRequest): object {
  const { cmd, args } = action.args as { cmd: string; args: string[] };
  const work = { kind: 'command', cmd, args, timeoutMs: 60_000 };
  const workspace = { tenantId, agentKey, conversationKey };
  return { kind: 'execute', id: 1, step: { workspace, turnId, effect, attempt, idempotencyKey, fencingToken, work } };
}
