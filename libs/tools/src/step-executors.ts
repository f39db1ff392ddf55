import type { StepContext, StepExecutor, StepOutcome, StepRequest } from '@tyrum/execution';
import type { Action } from '@tyrum/protocol';

/** Several executors as one: the first that handles an action runs it. */
export class StepExecutors implements StepExecutor {
  constructor(private readonly executors: readonly StepExecutor[]) {}

  handles(action: Action): boolean {
    return this.for(action) !== undefined;
  }

  execute(request: StepRequest, context: StepContext): Promise<StepOutcome> {
    const executor = this.for(request.action);
    if (!executor) throw new Error(`asked to run ${request.action.type} without having said that it can`);
    return executor.execute(request, context);
  }

  recover(request: StepRequest): Promise<StepOutcome | undefined> {
    return this.for(request.action)?.recover?.(request) ?? Promise.resolve(undefined);
  }

  private for(action: Action): StepExecutor | undefined {
    return this.executors.find((executor) => executor.handles(action));
  }
}
