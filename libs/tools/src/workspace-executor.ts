import { rm } from 'node:fs/promises';
import type { ArtifactStore } from '@tyrum/evidence';
import type { StepContext, StepExecutor, StepOutcome, StepRequest } from '@tyrum/execution';
import { secretKeyOf, type Action, type JsonValue, type StepResult } from '@tyrum/protocol';
import { fileBytes, keepOutput } from './kept-output';
import type { RunnerOutcome, RunnerResult, RunnerStep, RunnerWork } from './runner/messages';
import type { StepSecrets } from './step-secrets';
import { RunnerGoneError, type ToolRunnerClient } from './tool-runner-client';

const DEFAULT_TIMEOUT_MS = 60_000;

/** Runs `CLI` and `Filesystem` steps in the ToolRunner. */
export class WorkspaceExecutor implements StepExecutor {
  constructor(
    private readonly runner: ToolRunnerClient,
    private readonly artifacts: ArtifactStore,
    private readonly secrets: StepSecrets,
  ) {}

  handles(action: Action): boolean {
    return action.type === 'CLI' || action.type === 'Filesystem';
  }

  async execute(request: StepRequest, { signal }: StepContext): Promise<StepOutcome> {
    const opened = await this.secrets.open(request);
    if ('kind' in opened) return opened;
    try {
      const step = { ...toRunnerStep(request), secrets: Object.fromEntries(opened.values) };
      const outcome = await this.runner.execute(step, signal);
      return await this.toOutcome(request, outcome, signal);
    } catch (error) {
      if (!(error instanceof RunnerGoneError)) throw error;
      if (request.effect === 'once') return { kind: 'unknown', detail: 'the tool runner died while it ran' };
      return { kind: 'failed', error: { code: 'runner_died', message: error.message }, retryable: true };
    }
  }

  async recover(request: StepRequest): Promise<StepOutcome | undefined> {
    try {
      const outcome = await this.runner.recover(toRunnerStep(request));
      return outcome && (await this.toOutcome(request, outcome, new AbortController().signal));
    } catch (error) {
      if (error instanceof RunnerGoneError) return undefined;
      throw error;
    }
  }

  private async toOutcome(request: StepRequest, outcome: RunnerOutcome, signal: AbortSignal): Promise<StepOutcome> {
    switch (outcome.kind) {
      case 'succeeded':
        return { kind: 'succeeded', result: await this.toResult(request, outcome.result) };
      case 'failed': {
        const { code, message, retryable } = outcome;
        // A command that ran into its time may have done half of its work: only a repeatable one is repeated.
        const again = retryable && request.effect !== 'once';
        const result = outcome.result && (await this.toResult(request, outcome.result));
        return { kind: 'failed', error: { code, message }, retryable: again, ...(result ? { result } : {}) };
      }
      case 'stopped':
        if (!outcome.begun || request.effect !== 'once' || signal.reason === 'cancelled')
          return { kind: 'interrupted' };
        return { kind: 'unknown', detail: 'it was stopped while it ran' };
    }
  }

  /** Output that was too long for the result is kept whole as an artifact. */
  private async toResult(request: StepRequest, { spool, ...result }: RunnerResult): Promise<StepResult> {
    const plain = result as Record<string, JsonValue>;
    if (!spool) return plain;
    try {
      const { tenantId, turnId, stepIndex } = request;
      const about = {
        tenantId,
        turnId,
        stepIndex,
        kind: 'log',
        filename: `step-${stepIndex}.log`,
        mimeType: 'text/plain',
      } as const;
      return { ...plain, ...(await keepOutput(this.artifacts, about, () => fileBytes(spool))) };
    } finally {
      await rm(spool, { force: true });
    }
  }
}

function toRunnerStep(request: StepRequest): RunnerStep {
  const { tenantId, agentKey, conversationKey, turnId, effect, attempt, idempotencyKey, fencingToken } = request;
  return {
    workspace: { tenantId, agentKey, conversationKey },
    turnId,
    effect,
    attempt,
    idempotencyKey,
    fencingToken,
    work: workOf(request.action),
  };
}

function workOf(action: Action): RunnerWork {
  const args = action.args as Readonly<Record<string, unknown>>;
  if (action.type === 'Filesystem') return { kind: 'filesystem', args: args as { op: string } };
  return {
    kind: 'command',
    cmd: args['cmd'] as string,
    args: (args['args'] as string[] | undefined) ?? [],
    ...(typeof args['cwd'] === 'string' ? { cwd: args['cwd'] } : {}),
    ...(args['env'] ? { env: keysOf(args['env'] as Record<string, string>) } : {}),
    timeoutMs: (args['timeout_ms'] as number | undefined) ?? DEFAULT_TIMEOUT_MS,
  };
}

function keysOf(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, handle]) => [name, secretKeyOf(handle) ?? '']));
}
