import type { StateStore } from '../state-store';

const text = `update conversation_queue set due_at = 0 where state = 'leased'`;

/** Lets the leases of all conversations run out now, as if their holders had been silent for their TTL. */
export async function expireConversations(store: StateStore): Promise<void> {
  await store.execute({ name: 'expire-conversations', postgres: text, sqlite: text });
}
