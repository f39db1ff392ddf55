import { createHash, randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  DesktopUnavailableError,
  type Desktop,
  type DesktopDriver,
  type DesktopSpec,
  type Launched,
} from './desktop-driver';
import { runProgram } from './run-program';
import { confined, environmentOf, PATH, type Reach, type SandboxKind } from './sandbox';

/** For the display to be there, in ms. */
const START_MS = 20_000;
/** For what is asked to end before it is made to, in ms. */
const STOP_MS = 3_000;
/** How long a program is watched for ending at once, in ms: what is missing or misspelt does. */
const SETTLE_MS = 700;
const MAX_PROGRAMS = 64;
const DISPLAYS_TRIED = 5;
const WINDOW_MANAGER = 'openbox';

/**
 * Desktops on this machine: a virtual screen each (Xvfb), with a window manager and whatever is launched on it. The screen takes only who
 * has its key, and listens on nothing but a socket in the file system; it dies with this process, as everything on it does.
 */
export class LocalDriver implements DesktopDriver {
  constructor(private readonly sandbox: SandboxKind) {}

  async open(spec: DesktopSpec): Promise<Desktop> {
    const authority = join(spec.scratch, 'xauthority');
    await writeFile(authority, wildAuthority(randomBytes(16)), { mode: 0o600 });
    const { screen, number } = await startScreen(spec, authority);
    try {
      const reach = { home: spec.home, authority, display: `:${number}`, socket: `/tmp/.X11-unix/X${number}` };
      const desktop = new LocalDesktop(screen, reach, this.sandbox);
      await desktop.begin();
      return desktop;
    } catch (error) {
      await end(screen);
      throw error;
    }
  }
}

class LocalDesktop implements Desktop {
  readonly ended: Promise<string>;
  private readonly programs = new Set<ChildProcess>();
  private end: (why: string) => void = () => undefined;

  constructor(
    private readonly screen: ChildProcess,
    private readonly reach: Reach,
    private readonly sandbox: SandboxKind,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
    screen.once('exit', () => this.end('the screen ended'));
  }

  /** @throws {DesktopUnavailableError} */
  async begin(): Promise<void> {
    const manager = this.start([WINDOW_MANAGER]);
    const early = await endsWithin(manager.child, SETTLE_MS);
    if (early !== undefined) {
      throw new DesktopUnavailableError(`${WINDOW_MANAGER} could not be started: ${manager.complaint() || early}`);
    }
    manager.child.once('exit', () => this.end('the window manager ended'));
  }

  screenshot(format: 'png' | 'jpg', signal: AbortSignal): Promise<Buffer> {
    const args = ['--hidecursor', `--format=${format}`, '--quality=7'];
    return runProgram('maim', args, { env: this.ownEnvironment(), signal });
  }

  async control(commands: readonly string[], signal: AbortSignal, text?: string): Promise<string> {
    const run = { env: this.ownEnvironment(), signal, ...(text === undefined ? {} : { input: text }) };
    return (await runProgram('xdotool', commands, run)).toString('utf8');
  }

  async launch(command: string, args: readonly string[]): Promise<Launched> {
    if (this.programs.size >= MAX_PROGRAMS)
      throw new DesktopUnavailableError(`${MAX_PROGRAMS} programs run on it already`);
    const { child, complaint } = this.start([command, ...args]);
    const early = await endsWithin(child, SETTLE_MS);
    if (early === undefined) return { kind: 'running' };
    if (child.exitCode !== 0) throw new DesktopUnavailableError(`${command} ended at once: ${complaint() || early}`);
    return { kind: 'ended', code: child.exitCode };
  }

  async stop(): Promise<void> {
    this.end('it was stopped');
    await Promise.all([...this.programs].map(end));
    await end(this.screen);
  }

  private start(command: readonly string[]): { child: ChildProcess; complaint: () => string } {
    const [program = '', ...args] = confined(this.sandbox, this.reach, command);
    const env = environmentOf(this.sandbox, this.reach);
    const cwd = this.reach.home;
    const child = spawn(program, args, { env, cwd, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${String(chunk)}`.slice(-400)));
    this.programs.add(child);
    child.once('close', () => this.programs.delete(child));
    child.once('error', () => this.programs.delete(child));
    return { child, complaint: () => said.trim() };
  }

  /** For our own tools, which are trusted and run as the runtime does. */
  private ownEnvironment(): Record<string, string> {
    const { display, authority } = this.reach;
    return { PATH, LANG: 'C.UTF-8', DISPLAY: display, XAUTHORITY: authority };
  }
}

/**
 * Starts a screen on a display that is free. Xvfb could look for one itself, but two that look at the same time may take the same one
 * where a crash has left its lock behind. So each desktop has a number of its own, which its next start takes over from a dead one.
 * @throws {DesktopUnavailableError}
 */
async function startScreen(spec: DesktopSpec, authority: string): Promise<{ screen: ChildProcess; number: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const number = displayNumber(spec.scratch, attempt);
    const screen = spawnScreen(spec, authority, number);
    try {
      await untilReady(screen);
      return { screen, number };
    } catch (error) {
      await end(screen);
      const isTaken = error instanceof DesktopUnavailableError && /already active/.test(error.message);
      if (!isTaken || attempt === DISPLAYS_TRIED) throw error;
    }
  }
}

/** Beyond what people and other programs use. */
function displayNumber(name: string, attempt: number): number {
  const digest = createHash('sha256').update(`${name} ${attempt}`).digest();
  return 1_000 + (digest.readUInt32BE(0) % 58_000);
}

function spawnScreen({ width, height }: DesktopSpec, authority: string, number: number): ChildProcess {
  const screen = [`:${number}`, '-displayfd', '3', '-screen', '0', `${width}x${height}x24`, '-noreset'];
  const closed = ['-auth', authority, '-nolisten', 'tcp', '-nolisten', 'local'];
  const args = ['--pdeathsig', 'KILL', '--', 'Xvfb', ...screen, ...closed];
  return spawn('setpriv', args, {
    env: { PATH, LANG: 'C.UTF-8' },
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
}

/** Resolves when the screen takes clients: it then tells the number of its display. @throws {DesktopUnavailableError} */
function untilReady(screen: ChildProcess): Promise<void> {
  let said = '';
  screen.stderr?.on('data', (chunk: Buffer) => (said = `${said}${String(chunk)}`.slice(-400)));
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new DesktopUnavailableError(`Xvfb could not be started: ${why}`));
    const timer = setTimeout(() => fail(`it was not there within ${START_MS} ms`), START_MS);
    const done = (work: () => void): void => {
      clearTimeout(timer);
      work();
    };
    (screen.stdio[3] as Readable).once('data', () => done(resolve));
    screen.once('error', ({ message }) => done(() => fail(message)));
    screen.once('close', (code) => done(() => fail(said.trim() || `exit ${String(code)}`)));
  });
}

/** How a process ended, if it did within that time. */
async function endsWithin(child: ChildProcess, ms: number): Promise<string | undefined> {
  const deadline = AbortSignal.timeout(ms);
  try {
    const [code, signal] = (await once(child, 'close', { signal: deadline })) as [number | null, string | null];
    return signal ?? `exit ${String(code)}`;
  } catch (error) {
    if (deadline.aborted) return undefined;
    return (error as Error).message;
  }
}

/** Ends a process with its whole group. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'exit');
  signalGroup(child.pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child.pid ?? 0, 'SIGKILL'), STOP_MS);
  await closed;
  clearTimeout(timer);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** An Xauthority file with one key, good for whatever display its server takes (family 65535: wild). Lengths are 16 bits, big-endian. */
function wildAuthority(cookie: Buffer): Buffer {
  const text = (value: Buffer): Buffer => Buffer.concat([number(value.length), value]);
  const nothing = Buffer.alloc(0);
  return Buffer.concat([
    number(0xffff),
    text(nothing),
    text(nothing),
    text(Buffer.from('MIT-MAGIC-COOKIE-1')),
    text(cookie),
  ]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
