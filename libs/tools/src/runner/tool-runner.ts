import { killGroup, runCommand } from './command';
import { workingDirectory } from './directory';
import { Fence } from './fence';
import { runFilesystem } from './filesystem';
import { Journal } from './journal';
import { RunnerError, type FromRunner, type RunnerOutcome, type RunnerStep, type ToRunner } from './messages';
import { workspacePaths, type WorkspacePaths } from './workspace';

export interface ToolRunnerOptions {
  readonly workspaceRoot: string;
  /** Everything is stopped when the worker has said nothing for so long, in ms: its leases may be others' by then. */
  readonly silenceMs: number;
  readonly send: (message: FromRunner) => void;
  /** What commands may see of our environment. */
  readonly env: NodeJS.ProcessEnv;
}

const MAX_JOURNALS = 200;

interface Running {
  readonly stop: AbortController;
  readonly conversation: string;
  readonly token: number;
}

/**
 * The only place where a workspace is changed. A step comes with its lease's token: a lower one than was seen before is
 * refused, and a higher one stops what still runs under a lower one.
 */
export class ToolRunner {
  private readonly running = new Map<number, Running>();
  private readonly groups = new Set<number>();
  private readonly journals = new Map<string, Journal>();
  private silence: NodeJS.Timeout | undefined;

  constructor(private readonly options: ToolRunnerOptions) {
    this.heard();
  }

  receive(message: ToRunner): void {
    switch (message.kind) {
      case 'heartbeat':
        return this.heard();
      case 'stop':
        return this.running.get(message.id)?.stop.abort();
      case 'execute':
        return void this.answer(message.id, () => this.execute(message.id, message.step));
      case 'recover':
        return void this.answer(message.id, () => this.recover(message.step));
    }
  }

  /** The worker is gone: nothing it started may go on. */
  killAll(): void {
    for (const pgid of this.groups) killGroup(pgid, 'SIGKILL');
  }

  private heard(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      for (const { stop } of this.running.values()) stop.abort();
    }, this.options.silenceMs);
  }

  private async answer(id: number, work: () => Promise<RunnerOutcome | undefined>): Promise<void> {
    const outcome = await work().catch(toFailure);
    this.running.delete(id);
    this.options.send({ kind: 'outcome', id, outcome: outcome ?? null });
  }

  private recover(step: RunnerStep): Promise<RunnerOutcome | undefined> {
    const { records } = workspacePaths(this.options.workspaceRoot, step.workspace);
    return Promise.resolve(this.journal(records).find(step));
  }

  private async execute(id: number, step: RunnerStep): Promise<RunnerOutcome> {
    const paths = workspacePaths(this.options.workspaceRoot, step.workspace);
    const running = this.register(id, step);
    if (!(await new Fence(`${paths.records}.fence`).pass(step.fencingToken))) {
      const message = 'a later holder of the conversation has been here';
      return { kind: 'failed', code: 'stale_token', message, retryable: false };
    }
    if (running.stop.signal.aborted) return { kind: 'stopped', begun: false };
    if (step.effect === 'read') return this.perform(step, paths, running.stop.signal);
    const journal = this.journal(paths.records);
    const earlier = journal.find(step);
    if (earlier) return earlier;
    journal.intend(step);
    const outcome = await this.perform(step, paths, running.stop.signal).catch(toFailure);
    // The spool file is the worker's to take away; a later reader of the journal would not find it.
    if (outcome.kind !== 'stopped') journal.settle(step, withoutSpool(outcome));
    return outcome;
  }

  /** Journals stay open in memory while their conversations are active. */
  private journal(records: string): Journal {
    const journal = this.journals.get(records) ?? new Journal(`${records}.journal`);
    this.journals.delete(records);
    this.journals.set(records, journal);
    if (this.journals.size > MAX_JOURNALS) this.journals.delete(this.journals.keys().next().value as string);
    return journal;
  }

  private register(id: number, step: RunnerStep): Running {
    const { tenantId, conversationKey } = step.workspace;
    const conversation = `${tenantId}/${conversationKey}`;
    for (const other of this.running.values()) {
      if (other.conversation === conversation && other.token < step.fencingToken) other.stop.abort();
    }
    const running = { stop: new AbortController(), conversation, token: step.fencingToken };
    this.running.set(id, running);
    return running;
  }

  private async perform(step: RunnerStep, paths: WorkspacePaths, signal: AbortSignal): Promise<RunnerOutcome> {
    const { work } = step;
    if (work.kind === 'filesystem') return { kind: 'succeeded', result: await runFilesystem(paths.root, work.args) };
    return runCommand({
      cmd: work.cmd,
      args: work.args,
      cwd: await workingDirectory(paths.root, work.cwd ?? '.'),
      env: {
        ...this.options.env,
        HOME: paths.root,
        TYRUM_TURN_ID: step.turnId,
        TYRUM_IDEMPOTENCY_KEY: step.idempotencyKey,
        TYRUM_FENCING_TOKEN: String(step.fencingToken),
      },
      timeoutMs: work.timeoutMs,
      signal,
      onGroup: (pgid, alive) => {
        if (alive) this.groups.add(pgid);
        else this.groups.delete(pgid);
        this.options.send({ kind: 'group', pgid, alive });
      },
    });
  }
}

function withoutSpool(outcome: RunnerOutcome): RunnerOutcome {
  if (!('result' in outcome) || !outcome.result?.spool) return outcome;
  const { spool: _spool, ...result } = outcome.result;
  return { ...outcome, result };
}

/** A refusal keeps its code; a system error is a failure that may pass, like a full disk. */
function toFailure(error: unknown): RunnerOutcome {
  if (error instanceof RunnerError) return { kind: 'failed', code: error.code, message: error.message, retryable: false };
  const code = (error as NodeJS.ErrnoException).code;
  return { kind: 'failed', code: 'io_error', message: code ?? String(error), retryable: code === 'ENOSPC' || code === 'EMFILE' };
}

/** The main of the ToolRunner's process: serves its parent until the channel closes, then takes everything down with it. */
export function serveParent(env: NodeJS.ProcessEnv, argv: readonly string[]): void {
  const [workspaceRoot = '', silenceMs = ''] = argv;
  const runner = new ToolRunner({ workspaceRoot, silenceMs: Number(silenceMs), send: (message) => void process.send?.(message), env });
  process.on('message', (message) => runner.receive(message as ToRunner));
  process.on('disconnect', () => {
    runner.killAll();
    process.exit(0);
  });
  // A terminal's Ctrl-C reaches the whole foreground group; the worker decides when its steps end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
