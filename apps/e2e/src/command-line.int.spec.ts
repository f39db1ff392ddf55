import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ArtifactRef } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { Deployment } from './deployment';

const TYRUM = join(__dirname, '..', '..', '..', 'dist', 'apps', 'cli', 'main.js');

describe('the command line', () => {
  let tyrum: Deployment;
  let url: string;

  beforeAll(async () => {
    tyrum = new Deployment({ TYRUM_WEBHOOK_KEY: randomBytes(32).toString('base64url') });
    url = `http://127.0.0.1:${(await tyrum.start('edge')).port}`;
  });
  afterAll(() => tyrum.stop());

  /** Runs it to its end with only what it needs of the environment. */
  async function run(args: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [TYRUM, ...args], {
      env: { PATH: process.env['PATH'], TYRUM_URL: url, TYRUM_TOKEN: tyrum.token, ...env },
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, out, err };
  }

  it('prints the output of a turn it watches and exits 0', async () => {
    const { code, out, err } = await run(['start', '--cli', 'echo hello', '--watch']);
    expect({ code, out }).toEqual({ code: 0, out: 'hello\n' });
    expect(err).toMatch(/step 0 CLI echo hello: succeeded/);
  });

  it('exits as the failed command did', async () => {
    const { code, out, err } = await run(['start', '--cli', `sh -c 'echo out; exit 7'`, '--watch']);
    expect({ code, out }).toEqual({ code: 7, out: 'out\n' });
    expect(err).toMatch(/failed: exited with 7/);
  });

  it('starts several steps from a file, and names the field of a bad one', async () => {
    const file = join(tyrum.home, 'steps.json');
    const steps = [
      { type: 'Filesystem', args: { op: 'write', path: 'a.txt', content: 'one\n' } },
      { type: 'CLI', args: { cmd: 'cat', args: ['a.txt'], effect: 'read' } },
    ];
    writeFileSync(file, JSON.stringify(steps));
    const good = await run(['start', file, '--watch']);
    expect(good.code).toBe(0);
    expect(good.out).toContain('one\n');
    writeFileSync(file, JSON.stringify([{ type: 'CLI', args: { args: ['x'] } }]));
    const bad = await run(['start', file]);
    expect(bad.code).toBe(2);
    expect(bad.err).toContain('steps[0].args.cmd');
  });

  it('uploads a file to a turn, lists it, and downloads what was uploaded', async () => {
    const turn = (await run(['start', '--cli', 'true'])).out.trim();
    const [file, copy] = [join(tyrum.home, 'photo.bin'), join(tyrum.home, 'copy.bin')];
    const bytes = randomBytes(3_000_000);
    writeFileSync(file, bytes);
    const put = await run([
      'artifact',
      'put',
      file,
      '--turn',
      turn,
      '--label',
      'a',
      'b',
      '--mime',
      'image/png',
      '--json',
    ]);
    const { artifact_id: id, labels, mime_type } = JSON.parse(put.out) as ArtifactRef;
    expect({ labels, mime_type }).toEqual({ labels: ['a', 'b'], mime_type: 'image/png' });
    expect((await run(['artifact', 'list', turn])).out).toMatch(new RegExp(`${id}  file  3000000  .*photo\\.bin`));
    expect(await run(['artifact', 'get', id, '-o', copy])).toMatchObject({ code: 0, out: `${copy}\n` });
    expect(readFileSync(copy).equals(bytes)).toBe(true);
    const missing = await run(['artifact', 'get', randomUUID(), '-o', copy]);
    expect(missing).toMatchObject({ code: 1, err: 'tyrum: there is no such artifact\n' });
    expect(readdirSync(tyrum.home).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('starts one turn for one key', async () => {
    const args = ['start', '--cli', 'true', '--idempotency-key', 'same'];
    const [first, second] = [await run(args), await run(args)];
    expect(first.code).toBe(0);
    expect(second.out).toBe(first.out);
  });

  it('creates, lists and deletes schedules and tokens', async () => {
    const created = await run([
      'schedule',
      'create',
      '--every',
      '1h',
      '--cli',
      'true',
      '--conversation',
      'agent:default:x:dm:y',
    ]);
    const id = created.out.split('\n')[0] ?? '';
    expect((await run(['schedule', 'list'])).out).toContain(id);
    expect((await run(['schedule', 'delete', id])).code).toBe(0);
    expect((await run(['schedule', 'list'])).out).not.toContain(id);

    const token = (await run(['token', 'create', '--role', 'client', '--scope', 'operator.read'])).out.trim();
    const [, , tokenId = ''] = token.split('.');
    expect((await run(['turns'], { TYRUM_TOKEN: token })).code).toBe(0);
    expect((await run(['start', '--cli', 'true'], { TYRUM_TOKEN: token })).code).toBe(1);
    expect((await run(['token', 'revoke', tokenId])).code).toBe(0);
    expect((await run(['token', 'list'])).out).not.toContain(token);
  });

  it('has desktops made, moved, stopped and deleted', async () => {
    const made = await run(['desktop', 'create', '--label', 'browser', '--size', '800x600']);
    expect(made).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^[0-9a-f-]{36}\nstatus {2}pending\n$/) as string,
    });
    const [id = ''] = made.out.split('\n');
    expect((await run(['desktop', 'list'])).out).toMatch(new RegExp(`^${id} +pending +browser`, 'm'));
    expect((await run(['desktop', 'move', id])).out).toContain('status  pending');
    expect((await run(['desktop', 'stop', id])).out).toContain('status  stopped');
    expect((await run(['desktop', 'start', id])).out).toContain('status  pending');
    expect((await run(['desktop', 'create', '--size', 'big'])).code).toBe(2);
    expect((await run(['desktop', 'create', '--host', id])).code).toBe(1);
    expect(await run(['desktop', 'delete', id])).toMatchObject({ code: 0, out: 'deleted\n' });
    expect((await run(['desktop', 'delete', id])).code).toBe(1);
  });

  it('keeps, rotates, lists and deletes a secret, and shows no value', async () => {
    const file = join(tyrum.home, 'value.txt');
    writeFileSync(file, 'a-value-nobody-sees\n');
    const set = await run(['secret', 'set', 'github', '--file', file, '--description', 'reads']);
    expect(set).toMatchObject({ code: 0, out: 'secret:github\nversion  1\n' });
    const steps = [
      {
        type: 'CLI',
        args: { cmd: 'sh', args: ['-c', 'printf "%s" "$X" > used; echo $X'], env: { X: 'secret:github' } },
      },
    ];
    writeFileSync(join(tyrum.home, 'secret-steps.json'), JSON.stringify(steps));
    const id = (await run(['start', join(tyrum.home, 'secret-steps.json')])).out.trim();
    expect((await tyrum.ended(id)).steps[0]?.result?.output).toBe('[secret:github]\n');
    expect(readFileSync(join(tyrum.workspace, 'used'), 'utf8')).toBe('a-value-nobody-sees');
    expect((await run(['secret', 'rotate', 'github', '--file', file])).out).toContain('version  2');
    const listed = await run(['secret', 'list']);
    expect(listed.out).toMatch(/^secret:github +2 .* reads$/m);
    expect(listed.out).not.toContain('nobody');
    expect(await run(['secret', 'delete', 'github'])).toMatchObject({ code: 0, out: 'deleted\n' });
    expect((await run(['secret', 'list'])).out).not.toContain('github');
  });

  it('shows who owns what and how it changed hands', async () => {
    const started = await run(['start', '--cli', 'sleep 30', '--conversation', 'agent:default:leased:dm:x']);
    const held = /^conversation +agent:default:leased:dm:x +held +1\.1 /m;
    await eventually(async () => expect((await run(['leases'])).out).toMatch(held), { timeoutMs: 60_000 });
    expect((await run(['leases', 'scheduler-shard'])).out).toMatch(/^scheduler-shard +\S+ +held +1\.1 /m);
    expect((await run(['leases', 'scheduler-shard', 'shard-0'])).out).toMatch(/^\S+Z +acquired +1\.1 /m);
    expect((await run(['leases', 'scheduler-shard', 'none'])).err).toContain('there is no such lease');
    await run(['cancel', started.out.trim()]);
  });

  it('says what is wrong with a call, and that nobody answers', async () => {
    expect(await run(['start'])).toMatchObject({ code: 2, err: expect.stringContaining('--cli') as string });
    expect(await run(['resolve', 'x'])).toMatchObject({ code: 2 });
    expect(await run(['turns'], { TYRUM_URL: 'http://127.0.0.1:1' })).toMatchObject({ code: 69 });
    expect(await run(['status'])).toMatchObject({ code: 0, out: expect.stringMatching(/^ready\n/) as string });
  });

  it('tells a turn of a signal, which goes on with what it brings', async () => {
    const file = join(tyrum.home, 'watch.json');
    writeFileSync(file, JSON.stringify([{ type: 'Watch', args: { signal: 'paid' } }]));
    const id = (await run(['start', file])).out.trim();
    await tyrum.until(id, ['paused']);
    expect(await run(['signal', id, 'other'])).toMatchObject({ code: 0, out: 'kept until it waits for it\n' });
    expect((await run(['signal', id, 'paid', '--result', '[1]'])).code).toBe(2);
    const told = await run(['signal', id, 'paid', '--result', '{"output":"12 EUR"}']);
    expect(told).toMatchObject({ code: 0, out: 'the turn goes on\n' });
    const { turn, steps } = await tyrum.ended(id);
    expect([turn.status, steps[0]?.result]).toEqual(['succeeded', { output: '12 EUR' }]);
    expect((await run(['signal', id, 'paid'])).err).toContain('the turn has succeeded');
  });

  it('shows and sets what tenants and agents get of the workers', async () => {
    expect((await run(['share', 'set', '--weight', '3', '--max-running', '50'])).code).toBe(0);
    expect((await run(['share', 'set', '--agent', 'slow', '--max-running', '1'])).code).toBe(0);
    expect((await run(['share', 'set', '--agent', 'slow', '--weight', '2'])).code).toBe(2);
    const { out } = await run(['share', 'list', '--json']);
    expect(JSON.parse(out)).toMatchObject([
      { agent_key: null, weight: 3, max_running: 50 },
      { agent_key: 'slow', weight: 1, max_running: 1 },
    ]);
  });

  it('shows, signs and exports the audit, and tells where a copy of it was altered', async () => {
    const token = JSON.parse((await run(['token', 'create', '--role', 'client', '--json'])).out) as {
      token_id: string;
    };
    const subject = `token:${token.token_id}`;
    expect((await run(['audit', 'list', '--subject', subject])).out).toMatch(
      /^\d+ +\S+Z +token.issued +token:\S+ +token:/m,
    );
    expect((await run(['audit', 'list', '--type', 'nothing'])).code).toBe(2);
    const [head, file] = [join(tyrum.home, 'head.json'), join(tyrum.home, 'audit.ndjson')];
    writeFileSync(head, (await run(['audit', 'head'])).out);
    expect((await run(['audit', 'export', '-o', file])).code).toBe(0);
    // It ends with a head that is signed anew each time.
    const entriesOf = (text: string) => text.split('\n').slice(0, -2);
    expect(entriesOf((await run(['audit', 'export'])).out)).toEqual(entriesOf(readFileSync(file, 'utf8')));
    const nowhere = { TYRUM_URL: 'http://127.0.0.1:1', TYRUM_TOKEN: '' };
    const good = await run(['audit', 'verify', file, '--head', head], nowhere);
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining('as 1 head kept before vouch for') as string });
    writeFileSync(file, readFileSync(file, 'utf8').replace(subject, 'token:somebody-else'));
    const bad = await run(['audit', 'verify', file, '--head', head], nowhere);
    expect(bad).toMatchObject({ code: 1, out: expect.stringMatching(/^broken at \d+: hash: /) as string });
  });

  it('makes a webhook that the call in the documentation fires, rotates its secret, and deletes it', async () => {
    const page = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'webhooks.md'), 'utf8');
    const script = /```sh send\n([\s\S]*?)```/.exec(page)?.[1] as string;
    /** The documented call; what it prints, and how it ended. */
    const send = async (hook: { path: string; secret: string }, body: string) => {
      const env = { PATH: process.env['PATH'], EDGE: url, WEBHOOK_PATH: hook.path, SECRET: hook.secret, BODY: body };
      const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { env });
      let out = '';
      child.stdout.on('data', (data: Buffer) => (out += data.toString()));
      const [code] = (await once(child, 'close')) as [number];
      return { code, answer: JSON.parse(out) as { turn_id: string; status?: number; errors?: object[] } };
    };
    const hookOf = (out: string) => {
      const { webhook, secret } = JSON.parse(out) as { webhook: { trigger_id: string; path: string }; secret: string };
      return { id: webhook.trigger_id, path: webhook.path, secret };
    };
    const step = `printf %s|%s $trigger.body/ref $trigger.headers.tyrum-nonce`;
    const created = await run(['--json', 'webhook', 'create', '--label', 'deploys', '--cli', step]);
    expect(created.code).toBe(0);
    const hook = hookOf(created.out);
    const fired = await send(hook, '{"ref":"a \\"b\\" $(id) é"}');
    expect(fired.code).toBe(0);
    const ended = await tyrum.ended(fired.answer.turn_id);
    expect(ended.steps[0]?.result?.output).toMatch(/^a "b" \$\(id\) é\|[0-9a-f]{32}$/);
    const lacking = await send(hook, '{}');
    expect(lacking.answer).toMatchObject({ status: 400, errors: [{ rule: 'triggerReference' }] });

    const listed = await run(['webhook', 'list']);
    expect(listed.out).toContain(`${hook.id}  deploys`);
    expect(listed.out).not.toContain(hook.secret);
    const rotated = hookOf((await run(['--json', 'webhook', 'rotate', hook.id])).out);
    expect((await send(hook, '{"ref":"old"}')).answer.status).toBe(401);
    expect((await send(rotated, '{"ref":"new"}')).code).toBe(0);
    expect(await run(['webhook', 'delete', hook.id])).toMatchObject({ code: 0, out: 'deleted\n' });
    expect((await send(rotated, '{"ref":"gone"}')).answer.status).toBe(401);
    const program = await run(['webhook', 'create', '--label', 'x', '--cli', 'sh -c $trigger.body']);
    expect(program.err).toContain('body.execution.steps[0].args.args[1]');
  });
});
