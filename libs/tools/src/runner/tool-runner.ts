import { Redactor } from '@tyrum/secrets/redactor';
import { runCommand } from './command';
import { workingDirectory } from './directory';
import { Fence } from './fence';
import { runFilesystem } from './filesystem';
import { Journal, type Earlier } from './journal';
import { RunnerError, type FromRunner, type RunnerOutcome, type RunnerStep, type ToRunner } from './messages';
import { killGroup } from './process-group';
import { workspacePaths, type WorkspacePaths } from './workspace';

export interface ToolRunnerOptions {
  readonly workspaceRoot: string;
  /** Everything is stopped when the worker has said nothing for so long, in ms: its leases may be others' by then. */
  readonly silenceMs: number;
  readonly send: (message: FromRunner) => void;
  /** What commands may see of our environment. */
  readonly env: NodeJS.ProcessEnv;
}

/** Journals kept open: each may hold a few megabytes of outcomes. */
const MAX_JOURNALS = 50;

interface Running {
  readonly stop: AbortController;
  readonly conversation: string;
  readonly token: number;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
  readonly end: () => void;
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
    this.running.get(id)?.end();
    this.running.delete(id);
    this.options.send({ kind: 'outcome', id, outcome: outcome ?? null });
  }

  /** Raises the fence first: a runner whose worker was taken for dead cannot begin the step after this has said what became of it. */
  private async recover(step: RunnerStep): Promise<RunnerOutcome | undefined> {
    const { records } = workspacePaths(this.options.workspaceRoot, step.workspace);
    await this.supersede(step);
    if (!(await fenceOf(records).pass(step.fencingToken))) return STALE;
    const earlier = this.journal(records).find(step);
    return earlier?.kind === 'outcome' ? earlier.outcome : undefined;
  }

  private async execute(id: number, step: RunnerStep): Promise<RunnerOutcome> {
    const paths = workspacePaths(this.options.workspaceRoot, step.workspace);
    const { signal } = this.register(id, step).stop;
    await this.supersede(step);
    if (!(await fenceOf(paths.records).pass(step.fencingToken))) return STALE;
    if (signal.aborted) return { kind: 'stopped', begun: false };
    if (step.effect === 'read') return this.perform(step, paths, signal);
    const journal = this.journal(paths.records);
    const earlier = answerOf(journal.find(step), step);
    if (earlier) return earlier;
    await journal.intend(step);
    const outcome = await this.perform(step, paths, signal).catch(toFailure);
    // Somebody who came later may have stopped it from outside; what it came to is not ours to say then.
    if (!fenceOf(paths.records).holds(step.fencingToken)) return { kind: 'stopped', begun: true };
    if (outcome.kind !== 'stopped') await journal.settle(step, outcome);
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

  private register(id: number, { workspace, fencingToken }: RunnerStep): Running {
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const running = { stop: new AbortController(), conversation: nameOf(workspace), token: fencingToken, ended, end };
    this.running.set(id, running);
    return running;
  }

  /** Stops what runs in this conversation under a lower token, and waits until it has. */
  private async supersede({ workspace, fencingToken }: RunnerStep): Promise<void> {
    const conversation = nameOf(workspace);
    const older = [...this.running.values()].filter(
      (run) => run.conversation === conversation && run.token < fencingToken,
    );
    for (const { stop } of older) stop.abort();
    await Promise.all(older.map(({ ended }) => ended));
  }

  private async perform(step: RunnerStep, paths: WorkspacePaths, signal: AbortSignal): Promise<RunnerOutcome> {
    const { work } = step;
    const holds = () => fenceOf(paths.records).holds(step.fencingToken);
    if (work.kind === 'filesystem')
      return { kind: 'succeeded', result: await runFilesystem(paths.root, work.args, holds) };
    const cwd = await workingDirectory(paths.root, work.cwd ?? '.');
    if (!holds()) return STALE;
    return runCommand({
      cmd: work.cmd,
      args: work.args,
      cwd,
      env: {
        ...this.options.env,
        ...secretVariables(work.env ?? {}, step.secrets ?? {}),
        HOME: paths.root,
        TYRUM_TURN_ID: step.turnId,
        TYRUM_IDEMPOTENCY_KEY: step.idempotencyKey,
        TYRUM_FENCING_TOKEN: String(step.fencingToken),
      },
      timeoutMs: work.timeoutMs,
      signal,
      redactor: new Redactor(new Map(Object.entries(step.secrets ?? {}))),
      onGroup: (pgid, alive) => {
        if (alive) this.groups.add(pgid);
        else this.groups.delete(pgid);
        this.options.send({ kind: 'group', pgid, alive });
      },
    });
  }
}

const STALE: RunnerOutcome = {
  kind: 'failed',
  code: 'stale_token',
  message: 'a later holder of the conversation has been here',
  retryable: false,
};

function secretVariables(
  variables: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(variables).map(([name, key]) => [name, secrets[key]]));
}

function fenceOf(records: string): Fence {
  return new Fence(`${records}.tokens`);
}

function nameOf({ tenantId, conversationKey }: RunnerStep['workspace']): string {
  return `${tenantId}/${conversationKey}`;
}

/** What a step is answered without being run. */
function answerOf(earlier: Earlier | undefined, { effect }: RunnerStep): RunnerOutcome | undefined {
  if (earlier?.kind === 'outcome') return earlier.outcome;
  if (earlier?.kind === 'other_work') {
    return {
      kind: 'failed',
      code: 'idempotency_key_reused',
      message: 'the key was used for another action',
      retryable: false,
    };
  }
  return earlier?.kind === 'open' && effect === 'once' ? { kind: 'stopped', begun: true } : undefined;
}

/** A refusal keeps its code; a system error is a failure that may pass, like a full disk. */
function toFailure(error: unknown): RunnerOutcome {
  if (error instanceof RunnerError)
    return { kind: 'failed', code: error.code, message: error.message, retryable: false };
  const code = (error as NodeJS.ErrnoException).code;
  return {
    kind: 'failed',
    code: 'io_error',
    message: code ?? String(error),
    retryable: code === 'ENOSPC' || code === 'EMFILE',
  };
}

/** The main of the ToolRunner's process: serves its parent until the channel closes, then takes everything down with it. */
export function serveParent(env: NodeJS.ProcessEnv, argv: readonly string[]): void {
  const [workspaceRoot = '', silenceMs = ''] = argv;
  const runner = new ToolRunner({
    workspaceRoot,
    silenceMs: Number(silenceMs),
    // A worker that is gone is heard of through `disconnect`; what could not be said to it is nobody's any more.
    send: (message) => void process.send?.(message, undefined, undefined, () => {}),
    env,
  });
  process.on('message', (message) => runner.receive(message as ToRunner));
  process.on('disconnect', () => process.exit(0));
  process.on('exit', () => runner.killAll());
  // A terminal's Ctrl-C reaches the whole foreground group; the worker decides when its steps end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
