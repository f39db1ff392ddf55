/** What the worker and its ToolRunner say to each other, as JSON over the fork's channel. */

/** Where a step may have effects, and under which authority. */
export interface WorkspaceRef {
  readonly tenantId: string;
  readonly agentKey: string;
  readonly conversationKey: string;
}

export interface RunnerStep {
  readonly workspace: WorkspaceRef;
  readonly turnId: string;
  readonly effect: 'read' | 'idempotent' | 'once';
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly fencingToken: number;
  readonly work: RunnerWork;
  /** Values of the secrets it names, by their keys. They go over the channel and into the command's environment, and nowhere else. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export type RunnerWork =
  | {
      readonly kind: 'command';
      readonly cmd: string;
      readonly args: readonly string[];
      readonly cwd?: string;
      /** Variables, each with the key of a secret. */
      readonly env?: Readonly<Record<string, string>>;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'filesystem'; readonly args: Readonly<Record<string, unknown>> & { readonly op: string } };

/** What came of a step. `failed`: it is known what it did. `stopped`: it was told to stop; `begun` says whether it had begun. */
export type RunnerOutcome =
  | { readonly kind: 'succeeded'; readonly result: RunnerResult }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
      readonly result?: RunnerResult;
    }
  | { readonly kind: 'stopped'; readonly begun: boolean };

/** JSON that becomes the step's result. `spool` names a file with the whole output, for the worker to take away. */
export type RunnerResult = Readonly<Record<string, unknown>> & { readonly spool?: string };

export type ToRunner =
  | { readonly kind: 'execute' | 'recover'; readonly id: number; readonly step: RunnerStep }
  | { readonly kind: 'stop'; readonly id: number }
  /** The worker is alive and trusts its leases. Without it the runner stops everything. */
  | { readonly kind: 'heartbeat' };

export type FromRunner =
  | { readonly kind: 'outcome'; readonly id: number; readonly outcome: RunnerOutcome | null }
  /** A process group began or ended: the worker kills those of a runner that died. */
  | { readonly kind: 'group'; readonly pgid: number; readonly alive: boolean };

/** A refusal that a caller can name. */
export class RunnerError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'RunnerError';
  }
}
