/** When a retryable step is tried again. */
export interface RetryPolicy {
  /** Executions at the most, the first included. */
  readonly maxAttempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 4, baseMs: 500, maxMs: 60_000 };

/**
 * The delay before attempt `attempt + 1`, in milliseconds: exponential, at least what the receiver asked for, with half
 * of it random so that a crowd that failed together does not come back together.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, askedMs: number, random: () => number): number {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1));
  return Math.max(Math.min(askedMs, policy.maxMs), Math.round(ceiling / 2 + (ceiling / 2) * random()));
}
