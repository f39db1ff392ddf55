import type { DispatchOutcome } from '@tyrum/nodes';
import {
  ContractError,
  isJsonObject,
  isWithinBytes,
  LIMITS,
  TaskExecuteResult,
  validatePayload,
  type JsonValue,
  type ResponseEnvelope,
  type StepResult,
} from '@tyrum/protocol';

/** Refusals by which a node says that it has not begun and may be asked again. */
const NOT_BEGUN: ReadonlySet<string> = new Set(['overloaded', 'rate_limited']);

/** What a node's answer to `task.execute` is for the step. */
export function outcomeOfAnswer(response: ResponseEnvelope<JsonValue>): DispatchOutcome {
  if (!response.ok) {
    const { code, message, details } = response.error;
    // A node that finds the beginning of the action in its journal and not its end.
    if (isJsonObject(details) && details['outcome'] === 'unknown') return { kind: 'unknown', detail: message };
    return { kind: 'failed', error: { code: `node_${code}`, message }, retryable: NOT_BEGUN.has(code) };
  }
  try {
    const { result, evidence } = validatePayload(TaskExecuteResult, response.result ?? {}, 'result');
    return { kind: 'succeeded', result: { ...kept('output', result), ...kept('evidence', evidence) } };
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    return { kind: 'failed', error: { code: 'node_bad_answer', message: error.message }, retryable: false };
  }
}

/** A value of the answer as the step keeps it: what is too long is left out, and that is said. */
function kept(name: 'output' | 'evidence', value: JsonValue | undefined): StepResult {
  if (value === undefined) return {};
  if (isWithinBytes(JSON.stringify(value), LIMITS.stepOutputBytes)) return { [name]: value };
  return { truncated: true };
}
