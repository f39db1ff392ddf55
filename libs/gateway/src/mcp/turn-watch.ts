import type { StoredEvent } from '@tyrum/outbox';

/** Tells who waits for a turn that something about it was committed. A hint: whoever is told looks for itself. */
export class TurnWatch {
  private readonly waiting = new Map<string, Set<() => void>>();

  /** Calls `onEvent` at each event of that turn, until what is returned is called. */
  add(tenantId: string, turnId: string, onEvent: () => void): () => void {
    const key = keyOf(tenantId, turnId);
    const listeners = this.waiting.get(key) ?? new Set();
    this.waiting.set(key, listeners.add(onEvent));
    return () => {
      listeners.delete(onEvent);
      if (listeners.size === 0 && this.waiting.get(key) === listeners) this.waiting.delete(key);
    };
  }

  tell({ tenantId, turnId }: Pick<StoredEvent, 'tenantId' | 'turnId'>): void {
    if (turnId === undefined || this.waiting.size === 0) return;
    for (const onEvent of this.waiting.get(keyOf(tenantId, turnId)) ?? []) onEvent();
  }
}

function keyOf(tenantId: string, turnId: string): string {
  return `${tenantId}/${turnId}`;
}
