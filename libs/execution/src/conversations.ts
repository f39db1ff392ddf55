import type { Backplane } from '@tyrum/backplane';
import { appendEvents } from '@tyrum/outbox';
import { LIMITS, type Conversation } from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import type { ConversationFilter, ConversationStore, QueueSettings, TurnStore } from '@tyrum/statestore/turns';
import { conversationCreated, conversationUpdated, newConversation, toConversation } from './conversation-view';
import { placeEvents } from './turn-events';

/** A page of conversations and the place to go on from. */
export interface ConversationPage {
  readonly conversations: Conversation[];
  readonly next?: NonNullable<ConversationFilter['after']>;
}

/** Creates, reads and removes conversations. */
export class Conversations {
  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly conversations: ConversationStore,
    private readonly backplane: Backplane,
    private readonly stamps: { readonly newId: () => string; readonly nowMs: () => number },
  ) {}

  /** Creates the conversation inside the caller's transaction, as its first write, and returns it; one that is there stays. */
  async createIn(tx: Tx, ref: ConversationRef): Promise<Conversation> {
    await tx.lockConversations([ref]);
    const conversation = newConversation(ref);
    const [enqueued] = await this.turns.enqueue(tx, [{ conversation, turns: [], messages: [], events: 0 }]);
    if (enqueued?.created) {
      const nowMs = this.stamps.nowMs();
      const drafts = [conversationCreated(conversation, nowMs)];
      await appendEvents(tx, placeEvents(ref, enqueued.firstEventSeq, drafts, { newId: this.stamps.newId, nowMs }));
    }
    const view = await this.conversations.find(tx, ref);
    if (!view) throw new Error('a conversation that was just written can be read');
    return toConversation(view);
  }

  /** The conversation with its newest messages. */
  get(ref: ConversationRef): Promise<Conversation | undefined> {
    return this.store.read(async (db) => {
      const view = await this.conversations.find(db, ref);
      return view && toConversation(view, await this.conversations.messages(db, ref, LIMITS.messagesShown));
    });
  }

  async exists(ref: ConversationRef): Promise<boolean> {
    return (await this.store.read((db) => this.conversations.find(db, ref))) !== undefined;
  }

  async list(filter: ConversationFilter): Promise<ConversationPage> {
    const views = await this.store.read((db) => this.conversations.list(db, { ...filter, limit: filter.limit + 1 }));
    const page = views.slice(0, filter.limit);
    const last = page.at(-1);
    const more = views.length > filter.limit && last;
    return {
      conversations: page.map((view) => toConversation(view)),
      ...(more ? { next: { updatedAt: last.updated_at, conversationKey: last.conversation_key } } : {}),
    };
  }

  /** Removes it inside the caller's transaction, as its first write, unless one of its turns is still open. */
  async deleteIn(tx: Tx, ref: ConversationRef): Promise<'deleted' | 'not_found' | 'busy'> {
    await tx.lockConversations([ref]);
    const [queue] = await this.turns.hold(tx, [ref]);
    const view = await this.conversations.find(tx, ref);
    if (!view || !queue) return 'not_found';
    if (queue.pending > 0 || queue.state !== 'idle') return 'busy';
    await this.conversations.remove(tx, ref);
    return 'deleted';
  }

  /**
   * Sets, inside the caller's transaction and as its first write, what happens with inputs that come while a turn runs. A
   * turn under way keeps to what was set when its worker took the conversation.
   */
  async setQueueIn(tx: Tx, ref: ConversationRef, queue: QueueSettings): Promise<Conversation | undefined> {
    await tx.lockConversations([ref]);
    const [held] = await this.turns.hold(tx, [ref]);
    if (!held || !(await this.conversations.find(tx, ref))) return undefined;
    await this.conversations.setQueue(tx, ref, queue);
    const view = await this.conversations.find(tx, ref);
    if (!view) throw new Error('a conversation under our lock stays');
    const conversation = toConversation(view);
    const firstSeq = await this.turns.takeEventSeqs(tx, ref, 1);
    const stamp = { newId: this.stamps.newId, nowMs: this.stamps.nowMs() };
    await appendEvents(tx, placeEvents(ref, firstSeq, [conversationUpdated(conversation)], stamp));
    return conversation;
  }

  /** After a commit: whoever waits for events may look. */
  wake(): void {
    this.backplane.publish('outbox');
  }
}
