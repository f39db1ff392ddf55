import { fork, type ChildProcess } from 'node:child_process';
import type { FromRunner, RunnerOutcome, RunnerStep, ToRunner } from './runner/messages';

export interface ToolRunnerClientOptions {
  /** The runner's script. */
  readonly script: string;
  /** Node's own arguments, e.g. to load TypeScript in tests. */
  readonly execArgv?: readonly string[];
  readonly workspaceRoot: string;
  /** The worker's lease TTL: what is not renewed for so long may belong to somebody else. */
  readonly leaseTtlMs: number;
  /** The worker's environment, of which the runner gets very little. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onExit: (code: number | null, signal: string | null) => void;
}

/** What of the environment commands may see. Everything else, secrets above all, stays in the worker. */
const VISIBLE = ['PATH', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'SYSTEMROOT'];
/** Of the TTL: the runner stops before the lease ends, as the worker does. */
const SILENCE_FRACTION = 0.8;
const RESTART_BASE_MS = 100;
const RESTART_MAX_MS = 5_000;

/** The runner's process died while it had the step. */
export class RunnerGoneError extends Error {
  constructor() {
    super('the tool runner process died');
    this.name = 'RunnerGoneError';
  }
}

interface Pending {
  readonly resolve: (outcome: RunnerOutcome | undefined) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The worker's side of its ToolRunner: one long-lived child process, started when first needed and again after it died. It
 * tells the runner that the worker is alive; a worker that is stopped or blocked stops telling, and the runner stops its commands.
 */
export class ToolRunnerClient {
  private child: ChildProcess | undefined;
  private readonly pending = new Map<number, Pending>();
  private readonly groups = new Set<number>();
  private heartbeat: NodeJS.Timeout | undefined;
  private lastId = 0;
  private failures = 0;
  private startable = Promise.resolve();

  constructor(private readonly options: ToolRunnerClientOptions) {}

  /** Runs a step. When `signal` aborts, it is stopped and its outcome says so. @throws {RunnerGoneError} */
  async execute(step: RunnerStep, signal: AbortSignal): Promise<RunnerOutcome> {
    const id = ++this.lastId;
    const stop = () => this.send({ kind: 'stop', id });
    signal.addEventListener('abort', stop, { once: true });
    try {
      // Asked again after the wait for a restart: the runner was not told to stop what it had not been given.
      await this.startable;
      if (signal.aborted) return { kind: 'stopped', begun: false };
      const outcome = await this.ask({ kind: 'execute', id, step });
      return outcome ?? { kind: 'stopped', begun: true };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** What the journal knows of an earlier attempt. @throws {RunnerGoneError} */
  async recover(step: RunnerStep): Promise<RunnerOutcome | undefined> {
    await this.startable;
    return this.ask({ kind: 'recover', id: ++this.lastId, step });
  }

  /** Lets the runner go, and with it whatever still runs there. */
  close(): void {
    clearInterval(this.heartbeat);
    if (this.child?.connected) this.child.disconnect();
    this.child = undefined;
    this.abandon();
  }

  private ask(message: ToRunner & { id: number }): Promise<RunnerOutcome | undefined> {
    const child = (this.child ??= this.start());
    return new Promise((resolve, reject) => {
      this.pending.set(message.id, { resolve, reject });
      child.send(message, (error) => {
        if (error) this.settle(message.id, (pending) => pending.reject(new RunnerGoneError()));
      });
    });
  }

  private send(message: ToRunner): void {
    if (this.child?.connected) this.child.send(message, () => undefined);
  }

  private start(): ChildProcess {
    const { script, workspaceRoot, leaseTtlMs, execArgv, env } = this.options;
    const visible = Object.fromEntries(
      VISIBLE.map((name) => [name, env[name]]).filter(([, value]) => value !== undefined),
    );
    const child = fork(script, [workspaceRoot, String(leaseTtlMs * SILENCE_FRACTION)], {
      env: visible as NodeJS.ProcessEnv,
      execArgv: [...(execArgv ?? [])],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.on('message', (message) => this.receive(message as FromRunner));
    child.on('exit', (code, signal) => this.died(child, code, signal));
    child.on('error', () => undefined); // `exit` or the failed send follows
    clearInterval(this.heartbeat);
    this.heartbeat = setInterval(() => this.send({ kind: 'heartbeat' }), leaseTtlMs / 5);
    return child;
  }

  private receive(message: FromRunner): void {
    if (message.kind === 'group') {
      if (message.alive) this.groups.add(message.pgid);
      else this.groups.delete(message.pgid);
      return;
    }
    this.failures = 0;
    this.settle(message.id, (pending) => pending.resolve(message.outcome ?? undefined));
  }

  private settle(id: number, how: (pending: Pending) => void): void {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (pending) how(pending);
  }

  private abandon(): void {
    for (const id of [...this.pending.keys()]) this.settle(id, (pending) => pending.reject(new RunnerGoneError()));
  }

  /** Its commands live in groups of their own and would go on: nobody would ever hear of their outcome. */
  private died(child: ChildProcess, code: number | null, signal: string | null): void {
    if (this.child !== child) return;
    this.child = undefined;
    clearInterval(this.heartbeat);
    for (const pgid of this.groups) killQuietly(pgid);
    this.groups.clear();
    this.failures += 1;
    const delay = Math.min(RESTART_BASE_MS * 2 ** this.failures, RESTART_MAX_MS);
    this.startable = new Promise((resolve) => setTimeout(resolve, delay));
    this.abandon();
    this.options.onExit(code, signal);
  }
}

function killQuietly(pgid: number): void {
  try {
    process.kill(-pgid, 'SIGKILL');
  } catch {
    return; // it ended by itself
  }
}
