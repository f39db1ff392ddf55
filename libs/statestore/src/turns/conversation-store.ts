import type { ConversationRef, Reader, Tx } from '../state-store';
import { deleteConversation, findConversation, listConversations, listMessages } from './sql/read-conversations';
import { listTranscript } from './sql/deliver-inputs';
import { listConversationLeases } from './sql/list-conversation-leases';
import { setQueue } from './sql/set-queue';
import type { ConversationRow, MessageRow } from './turn-rows';

/** A conversation as it is shown. */
export interface ConversationView extends ConversationRow {
  readonly message_count: number;
  readonly last_role: MessageRow['role'] | null;
  /** JSON. */
  readonly last_parts: string | null;
}

/** A conversation's lease; times in ms since the epoch. */
export interface ConversationLeaseRow {
  readonly conversation_key: string;
  readonly lease_owner: string;
  readonly lease_token: number;
  /** Null: taken by a binary that did not note it. */
  readonly leased_at: number | null;
  readonly expires_at: number;
  readonly takeovers: number;
  /** By the database's clock, when it was read. */
  readonly held: boolean;
}

export interface ConversationFilter {
  readonly tenantId: string;
  readonly agentKey?: string;
  readonly channel?: string;
  readonly archived: boolean;
  /** The last row of the page before. */
  readonly after?: { readonly updatedAt: number; readonly conversationKey: string };
  readonly limit: number;
}

/** A message as a turn sees it; `delivered_step`: it came while the turn ran, and belongs before that step. */
export type TranscriptRow = MessageRow & { readonly delivered_step: number | null };

/** What a conversation does with inputs that come while a turn runs. */
export interface QueueSettings {
  readonly mode: ConversationRow['queue_mode'];
  /** Turns that may wait; absent: the limit for all conversations. */
  readonly cap?: number;
  readonly overflow?: 'reject' | 'drop_oldest';
}

/** Reads conversations and their messages. New ones come through `TurnStore.enqueue`. */
export class ConversationStore {
  async find(db: Reader, { tenantId, conversationKey }: ConversationRef): Promise<ConversationView | undefined> {
    const [row] = await db.query<ConversationView>(findConversation, [tenantId, conversationKey]);
    return row;
  }

  list(db: Reader, filter: ConversationFilter): Promise<ConversationView[]> {
    return db.query<ConversationView>(listConversations, [
      filter.tenantId,
      filter.agentKey ?? null,
      filter.channel ?? null,
      filter.archived,
      filter.after?.updatedAt ?? null,
      filter.after?.conversationKey ?? null,
      filter.limit,
    ]);
  }

  /** The newest `limit` messages, oldest first. */
  async messages(db: Reader, { tenantId, conversationKey }: ConversationRef, limit: number): Promise<MessageRow[]> {
    const rows = await db.query<MessageRow>(listMessages, [tenantId, conversationKey, limit]);
    return rows.reverse();
  }

  /** The newest `limit` messages that a turn may see, oldest first; see `TranscriptRow`. */
  async transcript(db: Reader, ref: ConversationRef, turnId: string, limit: number): Promise<TranscriptRow[]> {
    const params = [ref.tenantId, ref.conversationKey, turnId, limit];
    return (await db.query<TranscriptRow>(listTranscript, params)).reverse();
  }

  /** Who runs conversations of a tenant, or did and has not been heard of, by their keys; `after` ends the page before. */
  async leases(
    db: Reader,
    tenantId: string,
    { limit, after }: { readonly limit: number; readonly after?: string },
  ): Promise<ConversationLeaseRow[]> {
    const rows = await db.query<ConversationLeaseRow>(listConversationLeases, [tenantId, after ?? null, limit]);
    return rows.map((row) => ({ ...row, held: Boolean(row.held) }));
  }

  /** Sets what happens with inputs that come while a turn runs; the caller holds the lock. */
  async setQueue(tx: Tx, { tenantId, conversationKey }: ConversationRef, queue: QueueSettings): Promise<void> {
    await tx.query(setQueue, [tenantId, conversationKey, queue.mode, queue.cap ?? null, queue.overflow ?? 'reject']);
  }

  /** Removes the conversation and its messages; the caller holds the lock and has seen that no turn is open. */
  async remove(tx: Tx, { tenantId, conversationKey }: ConversationRef): Promise<void> {
    await tx.query(deleteConversation, [tenantId, conversationKey]);
  }
}
