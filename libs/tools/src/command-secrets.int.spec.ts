import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { StepRequest } from '@tyrum/execution';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { buildToolRunner, cli, openTestArtifacts, resultOf, stepSecrets, TestWorkspace } from './testing';
import { ToolRunnerClient } from './tool-runner-client';
import { WorkspaceExecutor } from './workspace-executor';

const SECRETS = { token: 's3cr3t/of+some length', other: 'another-secret' };

describe('secrets of commands', () => {
  const { script, remove } = buildToolRunner();
  let workspace: TestWorkspace;
  let evidence: Awaited<ReturnType<typeof openTestArtifacts>>;
  let client: ToolRunnerClient;
  let executor: WorkspaceExecutor;

  beforeAll(async () => void (evidence = await openTestArtifacts()));
  afterAll(async () => {
    await evidence.close();
    remove();
  });
  beforeEach(() => {
    workspace = new TestWorkspace();
    const onExit = () => undefined;
    client = new ToolRunnerClient({
      script,
      workspaceRoot: workspace.root,
      leaseTtlMs: 30_000,
      env: process.env,
      onExit,
    });
    executor = new WorkspaceExecutor(client, evidence.artifacts, stepSecrets(SECRETS));
  });
  afterEach(() => {
    client.close();
    workspace.remove();
  });

  const run = (request: StepRequest) =>
    executor.execute(request, { signal: new AbortController().signal, stream: () => {} });
  const content = (name: string) => {
    const path = join(workspace.path, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const env = { TOKEN: 'secret:token', OTHER: 'secret:other' };
  const node = (script: string, more: object = {}) =>
    workspace.step(cli(process.execPath, ['-e', script], { env, ...more }));

  it('are in the environment of the command, and in nothing it says', async () => {
    const script = `
      const { TOKEN, OTHER } = process.env;
      require('fs').writeFileSync('seen', TOKEN + ' ' + OTHER);
      const b = Buffer.from(TOKEN);
      for (const text of [TOKEN, OTHER, b.toString('base64'), Buffer.from('x' + TOKEN).toString('base64'),
        Buffer.from('Basic:' + TOKEN + ':').toString('base64url'), b.toString('hex'), b.toString('hex').toUpperCase(),
        encodeURIComponent(TOKEN), JSON.stringify({ TOKEN }), new URLSearchParams({ TOKEN }).toString()]) console.log(text);
      console.error(TOKEN);`;
    const { output } = resultOf(await run(node(script)));
    expect(content('seen')).toBe(`${SECRETS.token} ${SECRETS.other}`);
    for (const form of formsOf(SECRETS.token)) expect(output).not.toContain(form);
    expect(output).not.toContain(SECRETS.other);
    expect(String(output).match(/\[secret:token\]/g)?.length).toBeGreaterThanOrEqual(10);
    expect(output).toContain('[secret:other]');
  });

  it('are found where two writes have split them, and in output that is kept as an artifact', async () => {
    const script = `
      const { TOKEN } = process.env;
      const wait = () => new Promise((r) => setTimeout(r, 30));
      (async () => {
        for (const part of [TOKEN.slice(0, 3), TOKEN.slice(3, 9), TOKEN.slice(9)]) { process.stdout.write(part); await wait(); process.stderr.write('.'); }
        for (let i = 0; i < 9000; i++) process.stdout.write('line ' + i + ' ' + TOKEN + '\\n');
      })();`;
    const result = resultOf(await run(node(script)));
    expect(result['output']).not.toContain(SECRETS.token);
    expect(result['output']).not.toContain(SECRETS.token.slice(3));
    const [artifact] = result['artifacts'] as { artifact_id: string }[];
    const kept = await evidence.artifacts.open({ tenantId: DEFAULT_TENANT_ID }, artifact?.artifact_id ?? '');
    const whole = kept ? await text(kept.stream) : '';
    expect(whole.length).toBeGreaterThan(100_000);
    expect(whole).not.toContain(SECRETS.token);
    expect(whole.match(/\[secret:token\]/g)?.length).toBe(9_001);
  });

  it('are in no journal', async () => {
    await run(node('console.log(process.env.TOKEN)', { effect: 'idempotent' }));
    const files = readdirSync(workspace.root, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    expect(files.some(({ name }) => name.includes('journal'))).toBe(true);
    for (const { parentPath, name } of files) {
      expect(readFileSync(join(parentPath, name), 'utf8')).not.toContain(SECRETS.token);
    }
  });

  it('that are not there fail the step before it begins', async () => {
    const step = workspace.step(cli('sh', ['-c', 'echo x > begun'], { env: { X: 'secret:missing' } }));
    expect(await run(step)).toMatchObject({
      kind: 'failed',
      error: { code: 'secret_not_found', message: 'there is no secret:missing' },
      retryable: false,
    });
    expect(content('begun')).toBeUndefined();
  });
});

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('base64').slice(0, -3), bytes.toString('hex'), encodeURIComponent(secret)];
}
