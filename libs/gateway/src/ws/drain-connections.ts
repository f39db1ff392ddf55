import { CloseCode, LIMITS } from '@tyrum/protocol';
import type { Connection } from './connection';

/** Each connection asks for this much more of the window that the peers come back in. */
const WINDOW_MS_PER_CONNECTION = 2;
const MIN_WINDOW_MS = 200;
/** Closing frames go out in slices, so that the peers' reconnects do not all start in one turn of the event loop. */
const SLICE = 50;
const SLICE_PAUSE_MS = 10;
/** For the last answers: to ask again elsewhere costs the peer more than the wait costs us. */
const ANSWER_GRACE_MS = 5_000;
/** For the peer's side of the close: who takes longer is cut off. */
const CLOSE_GRACE_MS = 1_000;

/**
 * Sends everybody away with 1012 and a delay in ms as the reason, so that a whole edge's clients do not arrive at the next
 * one together. Waits for the answers to what is in flight, and for the sockets to close, until `signal` aborts.
 */
export async function drainConnections(connections: readonly Connection[], signal: AbortSignal): Promise<void> {
  const wanted = Math.max(MIN_WINDOW_MS, connections.length * WINDOW_MS_PER_CONNECTION);
  const windowMs = Math.min(LIMITS.restartDelayMaxMs, wanted);
  const ended: Promise<void>[] = [];
  for (const [i, connection] of connections.entries()) {
    if (signal.aborted) break;
    if (i > 0 && i % SLICE === 0) await pause(SLICE_PAUSE_MS);
    const delayMs = Math.floor(((i + 1) / connections.length) * windowMs);
    ended.push(dismiss(connection, delayMs));
  }
  await Promise.race([Promise.all(ended), aborted(signal)]);
}

async function dismiss(connection: Connection, delayMs: number): Promise<void> {
  const { link } = connection;
  await within(ANSWER_GRACE_MS, connection.answered());
  link.close(CloseCode.Restarting, String(delayMs));
  await within(CLOSE_GRACE_MS, link.closed);
  link.terminate();
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
