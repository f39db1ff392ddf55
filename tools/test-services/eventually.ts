export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** Ends the wait early when the check can no longer come true. */
  readonly giveUp?: () => boolean;
}

/** Runs `check` until it does not throw and returns its value; at the deadline its last error is thrown. */
export async function eventually<T>(check: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? 20_000);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= deadline || options.giveUp?.()) throw error;
      await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 25));
    }
  }
}
