import { signalTo, type StepExecutor, type StepOutcome, type StepRequest } from '@tyrum/execution';
import type { Action } from '@tyrum/protocol';

interface WatchArgs {
  readonly signal: string;
  readonly timeout_ms?: number;
}

/** Runs `Watch` steps: they wait, without a worker, for a signal to their turn, and have what it brought as their result. */
export class SignalExecutor implements StepExecutor {
  handles(action: Action): boolean {
    return action.type === 'Watch';
  }

  execute({ action, tenantId, turnId }: StepRequest): Promise<StepOutcome> {
    const { signal, timeout_ms: timeoutMs } = action.args as unknown as WatchArgs;
    const { kind, id } = signalTo(tenantId, turnId, signal);
    return Promise.resolve({ kind: 'waiting', wait: { kind, id, ...(timeoutMs === undefined ? {} : { timeoutMs }) } });
  }
}
