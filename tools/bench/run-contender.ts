import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Assignment, Measured } from './drivers/driver';

/** The bundle that `bundle.ts` makes. */
export const CONTENDER_SCRIPT = join(__dirname, '..', '..', 'dist', 'bench', 'contender.js');

/** A run that hangs is ended and counts as failed; the longest driver stays well below. */
const DEADLINE_MS = 240_000;
const LAST_OUTPUT = 4_000;

/** Runs one assignment in a process of its own and returns what it measured. @throws with what the process printed last */
export function runContender(
  contender: string,
  assignment: Assignment,
  { script = CONTENDER_SCRIPT, execPath = process.execPath }: { script?: string; execPath?: string } = {},
): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = fork(script, [contender, JSON.stringify(assignment)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execPath,
      execArgv: ['--enable-source-maps'],
    });
    let output = '';
    let measured: Measured | undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-LAST_OUTPUT)));
    }
    child.on('message', (message) => ({ measured } = message as { measured: Measured }));
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      process.removeListener('exit', kill);
      if (code === 0 && measured) resolve(measured);
      else reject(new Error(`${contender} ${assignment.driver}: ended with ${code ?? signal}\n${output}`));
    });
  });
}
