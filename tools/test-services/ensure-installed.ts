import { execFileSync, spawnSync } from 'node:child_process';

/** For another process that installs something now, in s: test files run side by side. */
const LOCK_S = 180;

/** Finds a program on PATH, or installs its package where that is allowed. @throws {Error} `missing` where it is not */
export function ensureInstalled(program: string, missing: string, aptPackage: string = program): void {
  if (spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status === 0) return;
  if (process.getuid?.() !== 0) throw new Error(missing);
  const apt = (...args: string[]) =>
    execFileSync('apt-get', ['-o', `DPkg::Lock::Timeout=${LOCK_S}`, ...args], { stdio: 'ignore' });
  apt('update');
  apt('install', '-y', '--no-install-recommends', aptPackage);
}
