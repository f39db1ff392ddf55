import { execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CapabilityTask } from '@tyrum/client';
import type { JsonObject, JsonValue } from '@tyrum/protocol';
import { eventually } from '@tyrum/test-services';
import { installDesktopPrograms } from '../testing';
import { capabilitiesOf } from './desktop-capabilities';
import type { Desktop } from './desktop-driver';
import { LocalDriver } from './local-driver';
import type { Sandbox } from './sandbox';

const PNG = '89504e470d0a1a0a';

beforeAll(installDesktopPrograms, 300_000);

const spec = { width: 640, height: 480, signal: new AbortController().signal };
const driver = (kind: Sandbox['kind'], hidden: string[] = []) => new LocalDriver({ kind, hidden });

describe.each(['bubblewrap', 'none'] as const)('a desktop on this machine, sandbox %s', (sandbox) => {
  let root: string;
  let home: string;
  let desktop: Desktop;
  const evidence: JsonValue[] = [];

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tyrum-screen-'));
    home = join(root, 'home');
    for (const name of ['home', 'scratch']) mkdirSync(join(root, name), { mode: 0o700 });
    desktop = await driver(sandbox).open({ ...spec, home, scratch: join(root, 'scratch') });
  }, 60_000);
  afterAll(async () => {
    await desktop.stop();
    rmSync(root, { recursive: true, force: true });
  });

  /** What the node would do for a step. */
  const act = (op: string, args: JsonObject = {}): Promise<JsonValue | undefined> => {
    const capability = capabilitiesOf(desktop).find(({ id }) => id === `tyrum.desktop.${op}`);
    if (!capability) throw new Error(`there is ${op}`);
    const task: CapabilityTask = {
      dispatchId: 'd',
      args,
      signal: AbortSignal.timeout(30_000),
      evidence: (seen) => Promise.resolve(void evidence.push(seen)),
    };
    return capability.run(task);
  };
  const titles = async (): Promise<string[]> => {
    const { windows } = (await act('windows')) as { windows: { title: string }[] };
    return windows.map(({ title }) => title);
  };

  it('shows its screen in the size that was asked for', async () => {
    expect(await act('screenshot')).toMatchObject({ mime_type: 'image/png' });
    const { content_base64: picture, ...file } = evidence.pop() as Record<string, string>;
    expect(file).toEqual({ kind: 'screenshot', filename: 'screenshot.png', mime_type: 'image/png' });
    const bytes = Buffer.from(picture ?? '', 'base64');
    expect([bytes.subarray(0, 8).toString('hex'), bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([
      PNG,
      640,
      480,
    ]);
  });

  it('launches programs, types into them and presses keys, and keeps what they write', async () => {
    const launched = await act('launch', { cmd: 'xterm', args: ['-title', 'a terminal'], wait_ms: 20_000 });
    expect(launched).toEqual({ running: true, window: expect.stringMatching(/^\d+$/) as string });
    expect(await titles()).toContain('a terminal');
    await act('click', { x: 320, y: 240 });
    const text = `printf '%s' "Grüße – 5 € für Здрав, 世界, $HOME" > typed`;
    await act('type', { text });
    await act('key', { keys: 'Return' });
    const path = join(home, 'typed');
    const seen = sandbox === 'none' ? home : '/home/desktop';
    await eventually(() => expect(readFileSync(path, 'utf8')).toBe(`Grüße – 5 € für Здрав, 世界, ${seen}`), {
      timeoutMs: 10_000,
    });
  });

  it('moves, scrolls and clicks where it is told', async () => {
    await act('move', { x: 11, y: 22 });
    const pointer = await desktop.control(['getmouselocation', '--shell'], AbortSignal.timeout(5_000));
    expect(pointer).toMatch(/X=11\nY=22\n/);
    await expect(act('scroll', { direction: 'up', amount: 2 })).resolves.toBeNull();
    await expect(act('click', { button: 'right', count: 2 })).resolves.toBeNull();
  });

  it.each([
    ['move', { x: 1 }, 'args.y'],
    ['move', { x: -1, y: 1 }, 'args.x'],
    ['click', { button: 'fourth' }, 'args.button'],
    ['click', { button: 'toString' }, 'args.button'],
    ['click', { count: 4 }, 'args.count'],
    ['scroll', { amount: 51 }, 'args.amount'],
    ['type', {}, 'args.text'],
    ['type', { text: 'a\0b' }, 'args.text'],
    ['key', { keys: '--window 1' }, 'args.keys'],
    ['launch', { cmd: '' }, 'args.cmd'],
    ['launch', { cmd: 'x', wait_ms: 60_001 }, 'args.wait_ms'],
    ['launch', { cmd: 'x', args: [1] }, 'args.args'],
  ])('refuses %s with %j and names the field', async (op, args, field) => {
    await expect(act(op, args)).rejects.toMatchObject({
      code: 'contract_error',
      message: expect.stringContaining(field) as string,
    });
  });

  it('waits in vain for the window of a program that has none', async () => {
    expect(await act('launch', { cmd: 'sleep', args: ['30'], wait_ms: 1 })).toEqual({ running: true, window: null });
  });

  it('says of a program that it ended at once, and how', async () => {
    expect(await act('launch', { cmd: 'true' })).toEqual({ running: false, exit_code: 0 });
    for (const cmd of ['false', 'no-such-program']) {
      await expect(act('launch', { cmd })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(cmd) as string,
      });
    }
  });

  it('lets nobody in without its key', () => {
    const [number] = /(?<=X)\d+$/.exec(socketOf(desktop)) ?? [];
    const without = { PATH: process.env['PATH'], DISPLAY: `:${number}` };
    expect(() => execFileSync('xdotool', ['getmouselocation'], { env: without, stdio: 'pipe' })).toThrow();
  });

  it('ends with everything on it', async () => {
    await act('launch', { cmd: 'sh', args: ['-c', 'sleep 4711 >/dev/null 2>&1 & exit 0'] });
    await act('launch', { cmd: 'sleep', args: ['4711'] });
    const socket = socketOf(desktop);
    expect(existsSync(socket)).toBe(true);
    await desktop.stop();
    expect(await desktop.ended).toBe('it was stopped');
    expect(existsSync(socket)).toBe(false);
    await eventually(() => expect(() => execFileSync('pgrep', ['-f', '^sleep 4711'])).toThrow());
    await expect(act('move', { x: 1, y: 1 })).rejects.toMatchObject({ code: 'conflict' });
  });
});

it('has a display of its own for each desktop, however many start at once and whatever a crash has left behind', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tyrum-screen-'));
  const open = (name: string): Promise<Desktop> => {
    const [home, scratch] = [join(root, name, 'home'), join(root, name, 'scratch')];
    for (const path of [home, scratch]) mkdirSync(path, { mode: 0o700, recursive: true });
    return driver('none').open({ ...spec, home, scratch });
  };
  const names = ['a', 'b', 'c'];
  const crashed = await Promise.all(names.map(open));
  const sockets = crashed.map(socketOf);
  for (const desktop of crashed) screenOf(desktop).kill('SIGKILL');
  await Promise.all(crashed.map(({ ended }) => ended));
  const desktops = await Promise.all(names.map(open));
  try {
    expect(new Set(sockets).size).toBe(3);
    expect(desktops.map(socketOf)).toEqual(sockets);
    for (const desktop of desktops) await desktop.control(['getmouselocation'], AbortSignal.timeout(5_000));
  } finally {
    await Promise.all([...crashed, ...desktops].map((desktop) => desktop.stop()));
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);

it('keeps what is beside a desktop from the programs on it', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tyrum-screen-'));
  const [home, scratch] = [join(root, 'home'), join(root, 'scratch')];
  for (const path of [home, scratch]) mkdirSync(path, { mode: 0o700 });
  process.env['CANARY_OF_THE_RUNTIME'] = 'seen';
  const desktop = await driver('bubblewrap').open({ ...spec, home, scratch });
  try {
    const look = [
      'env',
      'cat /proc/*/environ',
      `ls ${root}`,
      `cat ${__filename}`,
      'id -u',
      'ls /home',
      'echo x > /usr/written',
      `kill -0 ${process.pid} && echo killable`,
    ];
    await desktop.launch('sh', ['-c', `{ ${look.join('; ')}; } > said 2>&1; echo end > ended`]);
    await eventually(() => expect(existsSync(join(home, 'ended'))).toBe(true));
    const said = readFileSync(join(home, 'said'), 'utf8');
    for (const text of ['CANARY_OF_THE_RUNTIME', 'scratch', 'killable', 'describe.each']) {
      expect(said.split('\n').filter((line) => line.includes(text) && !line.startsWith('ls: '))).toEqual([]);
    }
    expect(said).toMatch(/^1000$/m);
    expect(said).toMatch(/^desktop$/m);
    expect(existsSync('/usr/written')).toBe(false);
  } finally {
    delete process.env['CANARY_OF_THE_RUNTIME'];
    await desktop.stop();
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);

function socketOf(desktop: Desktop): string {
  return (desktop as unknown as { reach: { socket: string } }).reach.socket;
}

function screenOf(desktop: Desktop): ChildProcess {
  return (desktop as unknown as { screen: ChildProcess }).screen;
}
