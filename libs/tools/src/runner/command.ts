import { spawn } from 'node:child_process';
import { createWriteStream, rmSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { NOTHING_SECRET, type Redactor } from '@tyrum/secrets/redactor';
import type { RunnerOutcome } from './messages';
import { endGroup, killGroup } from './process-group';

export interface CommandOptions {
  readonly cmd: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Takes secrets out of the output before any of it is kept. */
  readonly redactor?: Redactor;
  /** Told when the command's process group begins and ends. */
  readonly onGroup: (pgid: number, alive: boolean) => void;
}

/** Output up to this stays in the result; more is cut in the middle and kept whole beside it. */
const INLINE_BYTES = 64 * 1024;
/** Output beyond this is dropped. */
const SPOOL_BYTES = 64 * 1024 * 1024;
/** Between asking a command to stop and making it. */
const KILL_AFTER_MS = 2_000;
/** How long output is waited for after the whole group is gone: whoever left the group may hold the pipe for ever. */
const LAST_OUTPUT_MS = 500;

/** Runs a command without a shell, in a process group of its own, and returns when the whole group is gone. */
export async function runCommand(options: CommandOptions): Promise<RunnerOutcome> {
  if (options.signal.aborted) return { kind: 'stopped', begun: false };
  const startedAt = performance.now();
  const child = spawn(options.cmd, [...options.args], {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) return couldNotStart(options.cmd, (await once(child, 'error'))[0] as NodeJS.ErrnoException);
  options.onGroup(pid, true);
  const output = new Output();
  // Each stream by itself: what the other one says may come in between.
  const streams = [child.stdout, child.stderr].map((source) => {
    const clean = (options.redactor ?? NOTHING_SECRET).stream();
    source.on('data', (data: Buffer) => output.write(clean.write(data)));
    return clean;
  });

  let timedOut = false;
  const stop = () => stopGroup(pid);
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, options.timeoutMs);
  options.signal.addEventListener('abort', stop, { once: true });
  const closed = once(child, 'close');
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  options.signal.removeEventListener('abort', stop);
  const stopped = options.signal.aborted;
  // What it left in the background would write on after the step has its result.
  await endGroup(pid);
  await Promise.race([closed, pause(LAST_OUTPUT_MS)]);
  child.stdout.destroy();
  child.stderr.destroy();
  options.onGroup(pid, false);
  if (stopped) {
    output.discard();
    return { kind: 'stopped', begun: true };
  }
  for (const stream of streams) output.write(stream.end());
  const result = {
    ...(await output.end()),
    exit_code: code,
    ...(signal ? { signal } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  };
  if (timedOut) {
    const message = `did not end within ${options.timeoutMs} ms`;
    return { kind: 'failed', code: 'timeout', message, retryable: true, result: { ...result, timed_out: true } };
  }
  if (code === 0) return { kind: 'succeeded', result };
  const message = signal ? `ended by ${signal}` : `exited with ${code}`;
  return { kind: 'failed', code: 'exit_code', message, retryable: false, result };
}

function couldNotStart(cmd: string, error: NodeJS.ErrnoException): RunnerOutcome {
  const retryable = error.code === 'EAGAIN' || error.code === 'ENOMEM';
  const code = error.code === 'ENOENT' ? 'command_not_found' : 'command_not_started';
  return { kind: 'failed', code, message: `${cmd}: ${error.code ?? error.message}`, retryable };
}

function stopGroup(pgid: number): void {
  killGroup(pgid, 'SIGTERM');
  setTimeout(() => killGroup(pgid, 'SIGKILL'), KILL_AFTER_MS).unref();
}

/** Both streams in the order in which they came: head and tail in memory, everything in a file once it is too much. */
class Output {
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private spool: { readonly path: string; readonly stream: WriteStream } | undefined;

  write(data: Buffer): void {
    const room = SPOOL_BYTES - this.size;
    const kept = data.subarray(0, Math.max(0, room));
    this.size += data.length;
    if (this.spool) {
      if (!this.spoolFailed) this.spool.stream.write(kept);
    } else {
      this.chunks.push(kept);
      if (this.size > INLINE_BYTES) this.startSpool();
    }
    this.remember(kept);
  }

  async end(): Promise<{ output: string; truncated: boolean; spool?: string }> {
    if (!this.spool) return { output: text(Buffer.concat(this.chunks)), truncated: false };
    const { path, stream } = this.spool;
    if (!stream.closed) {
      stream.end();
      await new Promise<void>((resolve) => stream.once('close', () => resolve()));
    }
    const left = this.size - this.head.length - this.tail.length;
    const output = `${text(this.head)}\n… ${left} bytes left out …\n${text(this.tail)}`;
    if (!this.spoolFailed) return { output, truncated: true, spool: path };
    rmSync(path, { force: true });
    return { output, truncated: true };
  }

  discard(): void {
    const { spool } = this;
    if (!spool) return;
    const remove = () => rmSync(spool.path, { force: true });
    if (spool.stream.closed) return remove();
    spool.stream.once('close', remove);
    spool.stream.destroy();
  }

  private spoolFailed = false;
  private head = Buffer.alloc(0);
  private tail = Buffer.alloc(0);

  private startSpool(): void {
    const path = join(tmpdir(), `tyrum-output-${randomUUID()}`);
    const stream = createWriteStream(path, { mode: 0o600 });
    // A full disk costs the long version of the output, and neither the step nor the runner.
    stream.on('error', () => (this.spoolFailed = true));
    for (const chunk of this.chunks) stream.write(chunk);
    this.spool = { path, stream };
    this.chunks.length = 0;
  }

  private remember(data: Buffer): void {
    const half = INLINE_BYTES / 2;
    const missing = half - this.head.length;
    if (missing > 0) this.head = Buffer.concat([this.head, data.subarray(0, missing)]);
    const rest = data.subarray(Math.max(0, missing));
    if (rest.length > 0) this.tail = Buffer.concat([this.tail, rest]).subarray(-half);
  }
}

/** UTF-8 with replacement characters; NUL goes, because no text column can hold it. */
function text(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\u0000', '');
}
