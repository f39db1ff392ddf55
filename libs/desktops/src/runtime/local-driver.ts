import { createHash, randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  DesktopUnavailableError,
  type Desktop,
  type DesktopDriver,
  type DesktopSpec,
  type Launched,
  type Picture,
} from './desktop-driver';
import { Keyboard } from './keyboard';
import { runProgram } from './run-program';
import { confined, confinedScreen, environmentOf, PATH, type Reach, type Sandbox } from './sandbox';

/** For the display to be there, in ms. */
const START_MS = 20_000;
/** For what is asked to end before it is made to, in ms. */
const STOP_MS = 3_000;
/** How long a program is watched for ending at once, in ms: what is missing or misspelt does. */
const SETTLE_MS = 700;
const MAX_PROGRAMS = 64;
const DISPLAYS_TRIED = 5;
const SOCKETS = '/tmp/.X11-unix';
const WINDOW_MANAGER = 'openbox';
const COMPLAINT_LENGTH = 400;

/**
 * Desktops on this machine: a virtual screen each (Xvfb), with a window manager and whatever is launched on it. The screen takes only who
 * has its key, and listens on nothing but a socket in the file system; it dies with this process, as everything on it does.
 */
export class LocalDriver implements DesktopDriver {
  constructor(private readonly sandbox: Sandbox) {}

  async open(spec: DesktopSpec): Promise<Desktop> {
    const authority = join(spec.scratch, 'xauthority');
    await writeFile(authority, wildAuthority(randomBytes(16)), { mode: 0o600 });
    await mkdir(SOCKETS, { recursive: true });
    // Every user's, as X itself makes it; whose it is already, is as it should be.
    await chmod(SOCKETS, 0o1777).catch(() => undefined);
    const number = await freeDisplay(spec.scratch);
    const reach = { home: spec.home, authority, display: `:${number}`, socket: socketOf(number) };
    const screen = spawnScreen(spec, reach, this.sandbox);
    try {
      await untilReady(screen, spec.signal);
      const desktop = new LocalDesktop(screen, reach, this.sandbox);
      await desktop.begin();
      return desktop;
    } catch (error) {
      await endScreen(screen, reach.socket);
      throw error;
    }
  }
}

class LocalDesktop implements Desktop {
  readonly ended: Promise<string>;
  private readonly keyboard = new Keyboard((...tool) => this.run(...tool));
  private readonly programs = new Set<ChildProcess>();
  /** Groups of programs that have ended and left others behind. */
  private readonly orphans = new Set<number>();
  private end: (why: string) => void = () => undefined;

  constructor(
    private readonly screen: ChildProcess,
    private readonly reach: Reach,
    private readonly sandbox: Sandbox,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
    screen.once('exit', () => this.end('the screen ended'));
  }

  /** @throws {DesktopUnavailableError} */
  async begin(): Promise<void> {
    const manager = this.start([WINDOW_MANAGER]);
    const early = await endsWithin(manager.child, SETTLE_MS);
    if (early !== undefined) {
      await this.stop();
      throw new DesktopUnavailableError(`${WINDOW_MANAGER} could not be started: ${manager.complaint() || early}`);
    }
    manager.child.once('exit', () => this.end('the window manager ended'));
  }

  screenshot({ format, quality }: Picture, signal: AbortSignal): Promise<Buffer> {
    return this.run(['maim', '--hidecursor', `--format=${format}`, `--quality=${quality}`], signal);
  }

  async control(commands: readonly string[], signal: AbortSignal): Promise<string> {
    return (await this.run(['xdotool', ...commands], signal)).toString('utf8');
  }

  type(text: string, signal: AbortSignal): Promise<void> {
    return this.keyboard.type(text, signal);
  }

  async launch(command: string, args: readonly string[]): Promise<Launched> {
    if (this.programs.size >= MAX_PROGRAMS) {
      throw new DesktopUnavailableError(`${MAX_PROGRAMS} programs run on it already`);
    }
    const { child, complaint } = this.start([command, ...args]);
    const early = await endsWithin(child, SETTLE_MS);
    if (early === undefined) return { kind: 'running' };
    if (child.exitCode !== 0) throw new DesktopUnavailableError(`${command} ended at once: ${complaint() || early}`);
    return { kind: 'ended', code: child.exitCode };
  }

  async stop(): Promise<void> {
    this.end('it was stopped');
    await Promise.all([...this.programs].map(end));
    for (const group of this.orphans) signalGroup(group, 'SIGKILL');
    await endScreen(this.screen, this.reach.socket);
  }

  private start(command: readonly string[]): { child: ChildProcess; complaint: () => string } {
    const [program = '', ...args] = confined(this.sandbox, this.reach, command);
    const env = environmentOf(this.sandbox, this.reach);
    const cwd = this.reach.home;
    const child = spawn(program, args, { env, cwd, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    this.programs.add(child);
    child.once('exit', () => {
      this.programs.delete(child);
      if (child.pid !== undefined && signalGroup(child.pid, 0)) this.orphans.add(child.pid);
    });
    child.once('error', () => this.programs.delete(child));
    return { child, complaint: complaintOf(child) };
  }

  /** Our own tools speak with a server that whatever is on the desktop speaks with too, and are confined like it. */
  private run(command: readonly string[], signal: AbortSignal, input?: string): Promise<Buffer> {
    const env = environmentOf(this.sandbox, this.reach);
    const line = confined(this.sandbox, this.reach, command);
    return runProgram(line, { name: command[0] ?? '', env, signal, ...(input === undefined ? {} : { input }) });
  }
}

/**
 * A display that nobody has. Xvfb could look for one itself, but two that look at the same time may take the same one where a crash has
 * left its socket behind. So each desktop has a number of its own, beyond what people and other programs use, and its next start
 * takes that over from a dead one. @throws {DesktopUnavailableError}
 */
async function freeDisplay(name: string): Promise<number> {
  for (let attempt = 1; attempt <= DISPLAYS_TRIED; attempt += 1) {
    const digest = createHash('sha256').update(`${name} ${attempt}`).digest();
    const number = 1_000 + (digest.readUInt32BE(0) % 58_000);
    if (!(await answers(socketOf(number)))) return number;
  }
  throw new DesktopUnavailableError('there is no display that nobody has');
}

function socketOf(number: number): string {
  return join(SOCKETS, `X${number}`);
}

async function answers(socket: string): Promise<boolean> {
  const client = connect(socket);
  try {
    await once(client, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    client.destroy();
  }
}

function spawnScreen({ width, height }: DesktopSpec, reach: Reach, sandbox: Sandbox): ChildProcess {
  const screen = [reach.display, '-displayfd', '3', '-screen', '0', `${width}x${height}x24`, '-noreset'];
  const closed = ['-auth', reach.authority, '-nolisten', 'tcp', '-nolisten', 'local'];
  const [program = '', ...args] = confinedScreen(sandbox, reach, ['Xvfb', ...screen, ...closed]);
  const env = { PATH, LANG: 'C.UTF-8' };
  return spawn(program, args, {
    env,
    cwd: dirname(reach.authority),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
}

/** Resolves when the screen takes clients: it then tells the number of its display. @throws {DesktopUnavailableError} */
function untilReady(screen: ChildProcess, signal: AbortSignal): Promise<void> {
  const complaint = complaintOf(screen);
  return new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      done(() => reject(new DesktopUnavailableError(`Xvfb could not be started: ${why}`)));
    const timer = setTimeout(() => fail(`it was not there within ${START_MS} ms`), START_MS);
    const stop = (): void => fail('it is not wanted any more');
    const done = (work: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      work();
    };
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop);
    (screen.stdio[3] as Readable).once('data', () => done(resolve));
    screen.once('error', ({ message }) => fail(message));
    screen.once('close', (code) => fail(complaint() || `exit ${String(code)}`));
  });
}

/** The end of what a program says on standard error. */
function complaintOf(child: ChildProcess): () => string {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${String(chunk)}`.slice(-COMPLAINT_LENGTH)));
  return () => said.trim();
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

/** A screen in a sandbox is ended too fast to remove its socket itself. */
async function endScreen(screen: ChildProcess, socket: string): Promise<void> {
  await end(screen);
  await rm(socket, { force: true });
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

/** False = there is nobody in it. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return group > 0 && process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** An Xauthority file with one key, good for whatever display its server takes (family 65535: wild). Lengths are 16 bits, big-endian. */
function wildAuthority(cookie: Buffer): Buffer {
  const text = (value: Buffer): Buffer => Buffer.concat([number(value.length), value]);
  const name = Buffer.from('MIT-MAGIC-COOKIE-1');
  return Buffer.concat([number(0xffff), text(Buffer.alloc(0)), text(Buffer.alloc(0)), text(name), text(cookie)]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
