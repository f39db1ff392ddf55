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

  deliver(topic: Topic, payload: string | undefined): void {
    for (const handler of [...(this.handlers.get(topic) ?? [])]) callApart(() => handler(payload));
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
function callApart(handler: () => void): void {
  try {
    handler();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
