/** Time as the client needs it; injected so that tests can own it. */
export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Calls `action` once after `delayMs`. Returns what cancels it. */
  after(delayMs: number, action: () => void): () => void;
}

/** The clock of the runtime, in a browser as in Node. */
export const runtimeClock: Clock = Object.freeze({
  nowMs: () => performance.now(),
  after: (delayMs: number, action: () => void) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
});

/** Resolves after `delayMs`, or as soon as `signal` aborts: the caller looks at the signal. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}
