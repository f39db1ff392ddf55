import type { Handler, Topic } from './backplane';

/** The subscribers of this process. */
export class Subscribers {
  private readonly handlers = new Map<Topic, Set<Handler>>();
  private readonly reconnectHandlers = new Set<() => void>();

  add(topic: Topic, handler: Handler): () => void {
    const set = this.handlers.get(topic) ?? new Set();
    this.handlers.set(topic, set.add(handler));
    return () => void set.delete(handler);
  }

  addReconnect(handler: () => void): () => void {
    this.reconnectHandlers.add(handler);
    return () => void this.reconnectHandlers.delete(handler);
  }

  /** Returns whether somebody had room for it. */
  deliver(topic: Topic, payload: string | undefined): boolean {
    let isTaken = false;
    for (const handler of [...(this.handlers.get(topic) ?? [])]) {
      if (callApart(() => handler(payload)) !== false) isTaken = true;
    }
    return isTaken;
  }

  reconnected(): void {
    for (const handler of [...this.reconnectHandlers]) callApart(handler);
  }

  clear(): void {
    this.handlers.clear();
    this.reconnectHandlers.clear();
  }
}

/** A handler's error must not reach the publisher, which has committed, nor keep the message from the other handlers. */
function callApart(handler: () => unknown): unknown {
  try {
    return handler();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
    return undefined;
  }
}
