import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const LIBRARIES = ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketime.so.1`);

/**
 * The environment of a process whose wall clock goes by a file: `+3600` in it is an hour ahead, and a change is seen at once. Its
 * monotonic clock stays true, as it does on a host whose clock is set. Installs libfaketime where it is missing and we may.
 */
export function fakeClockEnv(file: string): Record<string, string> {
  return {
    LD_PRELOAD: library(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
  };
}

function library(): string {
  const found = () => LIBRARIES.find((path) => existsSync(path));
  if (!found() && process.getuid?.() === 0) {
    execFileSync('apt-get', ['update'], { stdio: 'ignore' });
    execFileSync('apt-get', ['install', '-y', 'libfaketime'], { stdio: 'ignore' });
  }
  const path = found();
  if (!path) throw new Error('the tests need libfaketime (apt-get install libfaketime)');
  return path;
}
