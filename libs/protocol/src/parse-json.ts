import { ContractError, type Violation } from './error-codes';
import { isWithinBytes, type JsonValue } from './json';
import { findUnstorable } from './json-check';
import { isDeeperThan } from './json-depth';
import { LIMITS } from './limits';

export interface JsonTextLimits {
  /** Bytes of UTF-8; `LIMITS.frameBytes` when absent. */
  readonly maxBytes?: number;
  /** `LIMITS.jsonDepth` when absent. */
  readonly maxDepth?: number;
}

/** Parses JSON after looking at its size and its depth. */
export function parseBoundedJson(
  text: string,
  { maxBytes = LIMITS.frameBytes, maxDepth = LIMITS.jsonDepth }: JsonTextLimits,
): { value: JsonValue } | { violation: Violation } {
  const refuse = (rule: string, message: string): { violation: Violation } => ({
    violation: { field: '', rule, message },
  });
  if (!isWithinBytes(text, maxBytes)) return refuse('maxBytes', `a message must not be larger than ${maxBytes} bytes`);
  if (isDeeperThan(text, maxDepth)) return refuse('maxDepth', `JSON must not nest deeper than ${maxDepth}`);
  try {
    return { value: JSON.parse(text) as JsonValue };
  } catch {
    return refuse('isJson', 'a message must be JSON');
  }
}

/**
 * Parses a JSON text that is no envelope, such as the body of an HTTP request, with the guarantees `parseEnvelope` gives:
 * bounded size and depth, and nothing in it that cannot be stored. A body parser alone gives neither, and a fingerprint
 * of JSON 100,000 deep would overflow the stack.
 * @throws {ContractError}
 */
export function parseJsonPayload(text: string, path = 'payload', limits: JsonTextLimits = {}): JsonValue {
  const parsed = parseBoundedJson(text, limits);
  if ('violation' in parsed) throw ContractError.at(path, parsed.violation.rule, parsed.violation.message);
  const unstorable = findUnstorable(parsed.value, path);
  if (unstorable) throw ContractError.at(unstorable.field, unstorable.rule, unstorable.message);
  return parsed.value;
}
