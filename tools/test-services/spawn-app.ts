import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = join(__dirname, '..', '..');
const BOOT_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** A built app as a real process. */
export interface AppProcess {
  readonly port: number;
  readonly pid: number;
  /** Its JSON log lines so far. */
  readonly logs: readonly Record<string, unknown>[];
  /** What it printed that is no JSON, line by line. */
  readonly output: readonly string[];
  readonly exitCode: number | null;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** How an app's process is started. */
export interface SpawnOptions {
  /** Words that go before the command and end by running it, e.g. `['unshare', '--mount', …]`. */
  readonly launcher?: readonly string[];
  /** Whether stack traces name our files; it costs memory (12 MiB), and images go without. Default: yes. */
  readonly sourceMaps?: boolean;
}

/**
 * Starts `node dist/apps/<app>/main.js` with only PATH, HOME and `env`, on a free port and without waiting for
 * balancers at its end unless `env` says otherwise.
 * Resolves when it listens. @throws when it exits before that, with what it printed
 */
export async function spawnApp(
  app: string,
  env: Record<string, string> = {},
  { launcher = [], sourceMaps = true }: SpawnOptions = {},
): Promise<AppProcess> {
  const main = join(ROOT, 'dist', 'apps', app, 'main.js');
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`);
  const node = [process.execPath, ...(sourceMaps ? ['--enable-source-maps'] : []), main];
  const [command = process.execPath, ...args] = [...launcher, ...node];
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TYRUM_PORT: '0', TYRUM_DRAIN_NOTICE_MS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  alive.add(child);
  const logs: Record<string, unknown>[] = [];
  const output: string[] = [];
  const exited = once(child, 'exit').then(([code, signal]) => {
    alive.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  const port = await listeningPort(child, app, logs, output);
  return {
    port,
    pid: child.pid as number,
    logs,
    output,
    get exitCode() {
      return child.exitCode;
    },
    exited,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(force);
    },
  };
}

function listeningPort(
  child: ChildProcess,
  app: string,
  logs: Record<string, unknown>[],
  output: string[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      const last = [...output, ...logs.map((line) => JSON.stringify(line))].slice(-20).join('\n');
      reject(new Error(`${app} ${why}\n${last}`));
    };
    const timer = setTimeout(() => fail('did not listen in time'), BOOT_TIMEOUT_MS);
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        const parsed = parse(line);
        if (!parsed) return void output.push(line);
        logs.push(parsed);
        if (parsed['msg'] !== 'listening') return;
        clearTimeout(timer);
        resolve(Number(parsed['port']));
      });
    }
    // Not 'exit': only at 'close' have the streams been read to their end.
    child.once('close', (code, signal) => fail(`exited with ${code ?? signal} before it listened`));
    child.once('error', (error) => fail(error.message));
  });
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
