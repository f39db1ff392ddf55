import type { Backplane } from '@tyrum/backplane';
import type { StepExecutor, StepOutcome, StepRequest } from '@tyrum/execution';
import { Dispatches, isForNodes } from '@tyrum/nodes';
import type { Action } from '@tyrum/protocol';

/**
 * Has `Node`, `Desktop` and `Browser` steps carried out by nodes. The step only waits: its request is committed with the
 * turn's wait, and neither this worker nor a lease is needed until the node's answer arrives.
 */
export class NodeExecutor implements StepExecutor {
  constructor(
    private readonly dispatches: Dispatches,
    private readonly backplane: Backplane,
  ) {}

  handles(action: Action): boolean {
    return isForNodes(action);
  }

  execute(request: StepRequest): Promise<StepOutcome> {
    return Promise.resolve({
      kind: 'waiting',
      // No timeout here: what is late is decided with the dispatch, because an action that was sent may have had its effect.
      wait: { kind: 'node', id: Dispatches.idOf(request), detail: 'waits for a node' },
      alongside: {
        writeIn: (tx) => this.dispatches.openIn(tx, request),
        committed: () => this.backplane.publish('directed'),
      },
    });
  }

  /** Nothing was asked of any node unless the turn parked, and then it would wait: asking now is asking for the first time. */
  recover(request: StepRequest): Promise<StepOutcome> {
    return this.execute(request);
  }
}
