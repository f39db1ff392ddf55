import { spawn } from 'node:child_process';
import { DesktopUnavailableError } from './desktop-driver';

export interface ProgramRun {
  /** What is said of it when it fails. */
  readonly name: string;
  readonly env: Record<string, string>;
  readonly signal: AbortSignal;
  readonly input?: string;
}

/** Beyond any screenshot of the largest screen. */
const MAX_OUTPUT_BYTES = 128 * 1024 * 1024;
const MAX_COMPLAINT = 400;

/** Runs one of the tools that a desktop is worked with. @throws {DesktopUnavailableError} with what it complained of */
export function runProgram(line: readonly string[], run: ProgramRun): Promise<Buffer> {
  const [program = '', ...args] = line;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: run.env, signal: run.signal, stdio: 'pipe' });
    const output: Buffer[] = [];
    let size = 0;
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) return void child.kill('SIGKILL');
      output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${String(chunk)}`.slice(0, MAX_COMPLAINT)));
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new DesktopUnavailableError(`${program} is not installed`) : error);
    });
    child.on('close', (code) => {
      if (code === 0) return resolve(Buffer.concat(output));
      reject(new DesktopUnavailableError(`${run.name} failed: ${complaint.trim() || `exit ${String(code)}`}`));
    });
    // It may have ended before it read what it is given; how it ended is told by `close`.
    child.stdin.on('error', () => undefined);
    child.stdin.end(run.input ?? '');
  });
}
