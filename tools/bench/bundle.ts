import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');
const INSTALL_TIMEOUT_MS = 300_000;

/** Bundles the contender's process as the apps are built. @throws with the compiler's output */
export function bundleContender(): void {
  run('npx', ['webpack-cli', '--config', join(__dirname, 'webpack.config.js')], ROOT);
}

/** Builds apps that are measured as they are shipped. @throws with the compiler's output */
export function buildApps(apps: readonly string[]): void {
  run('npx', ['nx', 'run-many', '-t', 'build', '-p', apps.join(',')], ROOT);
}

/** Installs the peers, and the Node for all, as the bench's lockfile names them, unless they are there already. @throws with npm's output */
export function installPeers(): void {
  const lock = join(__dirname, 'package-lock.json');
  const installed = join(__dirname, 'node_modules', '.package-lock.json');
  // npm writes its hidden lockfile at the end of an install: newer than ours means installed from it.
  if (existsSync(installed) && statSync(installed).mtimeMs > statSync(lock).mtimeMs) return;
  // Two of them ask for a newer Node than the workspace, and run on it: engines are not strict here.
  run('npm', ['ci', '--no-audit', '--no-fund', '--engine-strict=false'], __dirname);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, NX_DAEMON: 'false' },
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT_MS,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed\n${stdout}${stderr}`, { cause: error });
}
