import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled } from './ensure-installed';
import { eventually } from './eventually';
import { freePort } from './free-port';

export interface OwnPgBouncer {
  /** The database's address through the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts `pgbouncer` in transaction mode before a database, with fewer connections to it than its clients have, so that
 * their transactions do wander between them.
 */
export async function startOwnPgBouncer(database: string, serverConnections = 3): Promise<OwnPgBouncer> {
  ensureInstalled('pgbouncer', 'the tests need pgbouncer on PATH');
  const target = new URL(database);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-pgbouncer-'));
  const user = decodeURIComponent(target.username) || 'postgres';
  writeFileSync(join(folder, 'users'), `"${user}" "${decodeURIComponent(target.password)}"\n`);
  writeFileSync(
    join(folder, 'config'),
    `[databases]
* = host=${target.hostname} port=${target.port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users')}
pool_mode = transaction
default_pool_size = ${serverConnections}
max_client_conn = 200
`,
  );
  chmodSync(folder, 0o755);
  // It refuses to run as root.
  const asNobody = process.getuid?.() === 0 ? ['--user=nobody'] : [];
  const server = spawn('pgbouncer', [...asNobody, join(folder, 'config')], { stdio: 'ignore' });
  const end = () => void server.kill('SIGKILL');
  process.once('exit', end);
  await eventually(() => accepts(port), { timeoutMs: 10_000, giveUp: () => server.exitCode !== null });
  const url = new URL(database);
  url.host = `127.0.0.1:${port}`;
  url.username = user;
  url.searchParams.set('pgbouncer', 'true');
  const stop = async () => {
    process.removeListener('exit', end);
    const exited = once(server, 'exit');
    if (server.kill('SIGKILL')) await exited;
    rmSync(folder, { recursive: true });
  };
  return { url: url.toString(), stop };
}

function accepts(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
