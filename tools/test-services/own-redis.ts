import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually } from './eventually';
import { ensureInstalled } from './ensure-installed';
import { freePort } from './free-port';

/** A Redis server of the test's own, without persistence. */
export interface OwnRedis {
  readonly url: string;
  readonly port: number;
  /** Resolves when it is gone, or at once for SIGSTOP and SIGCONT. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Again after `kill`, empty; `args` are further command line options. */
  start(args?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Starts `redis-server` on a free port; installs it first where it is missing and we may. */
export async function startOwnRedis(): Promise<OwnRedis> {
  ensureInstalled('redis-server', 'the tests need redis-server on PATH, or TYRUM_TEST_REDIS_URL');
  const port = await freePort();
  let server: ChildProcess | undefined;
  const start = async (args: readonly string[] = []) => {
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const child = spawn('redis-server', [...own, ...args], { stdio: 'ignore' });
    server = child;
    alive.add(child);
    await eventually(() => pings(port), { timeoutMs: 10_000, giveUp: () => child.exitCode !== null });
  };
  const kill = async (signal: NodeJS.Signals) => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await exited;
    alive.delete(server);
  };
  await start();
  return { url: `redis://127.0.0.1:${port}`, port, kill, start, stop: () => kill('SIGKILL') };
}

/** Whether a Redis answers PING on this port. @throws when not */
export function pings(port: number, host = '127.0.0.1'): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, timeout: 2_000 }, () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      socket.destroy();
      if (data.toString().startsWith('+PONG')) resolve();
      else reject(new Error(`no Redis on port ${port}`));
    });
    socket.once('timeout', () => socket.destroy(new Error(`no answer from port ${port}`)));
    socket.once('error', reject);
  });
}
