import { execFileSync, spawnSync } from 'node:child_process';

/** Installs the Debian package of a program that the tests start, where it is missing and we may. @throws {Error} `missing` */
export function ensureInstalled(server: string, missing: string): void {
  if (spawnSync(server, ['--version']).status === 0) return;
  if (process.getuid?.() !== 0) throw new Error(missing);
  execFileSync('apt-get', ['update'], { stdio: 'ignore' });
  execFileSync('apt-get', ['install', '-y', server], { stdio: 'ignore' });
}
