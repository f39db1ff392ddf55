import type { StepExecutor, StepOutcome } from '@tyrum/execution';
import type { Action } from '@tyrum/protocol';

const message = 'No model is configured: set TYRUM_MODEL_BASE_URL and TYRUM_MODEL, then send the message again.';

/** Answers `Llm` steps where no model is configured. */
export class NoModel implements StepExecutor {
  handles(action: Action): boolean {
    return action.type === 'Llm';
  }

  execute(): Promise<StepOutcome> {
    return Promise.resolve({ kind: 'failed', error: { code: 'model_not_configured', message }, retryable: false });
  }
}
