import { LIMITS, parseConversationKey, type Conversation, type JsonValue, type Message } from '@tyrum/protocol';
import type { ConversationRef, Tx } from '@tyrum/statestore';
import type { ConversationStore, ConversationView, MessageRow, NewConversation } from '@tyrum/statestore/turns';
import type { EventDraft } from './turn-events';

/** A conversation's name across tenants, for keys of maps. */
export function conversationOf({ tenantId, conversationKey }: ConversationRef): string {
  return `${tenantId}/${conversationKey}`;
}

/** The conversation that a row is of. */
export function refOf(row: { readonly tenant_id: string; readonly conversation_key: string }): ConversationRef {
  return { tenantId: row.tenant_id, conversationKey: row.conversation_key };
}

/** A stored conversation in its wire shape; `messages` only where they were asked for. */
export function toConversation(view: ConversationView, messages: readonly MessageRow[] = []): Conversation {
  return {
    conversation_id: view.conversation_key,
    agent_key: view.agent_key,
    ...(view.account_key === null ? {} : { account_key: view.account_key }),
    channel: view.channel,
    ...(view.container_kind === null ? {} : { container_kind: view.container_kind as Conversation['container_kind'] }),
    thread_id: view.thread_id,
    title: view.title,
    message_count: view.message_count,
    updated_at: isoTime(view.updated_at),
    created_at: isoTime(view.created_at),
    last_message: lastMessage(view),
    archived: view.archived_at !== null,
    queue_mode: view.queue_mode,
    messages: messages.map(toMessage),
  };
}

function lastMessage(view: ConversationView): Conversation['last_message'] {
  if (view.last_role === null || view.last_parts === null) return null;
  return { role: view.last_role, text: shortened(textOf(JSON.parse(view.last_parts) as object[])) };
}

/** The whole text is in `messages` and in `message.final`. Half a surrogate pair at the end would be no text. */
function shortened(text: string): string {
  if (text.length <= LIMITS.lastMessageShown) return text;
  return `${text.slice(0, LIMITS.lastMessageShown - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function toMessage(row: MessageRow): Message {
  return {
    id: row.message_id,
    role: row.role,
    parts: JSON.parse(row.parts) as Message['parts'],
    ...(row.metadata === null ? {} : { metadata: JSON.parse(row.metadata) as JsonValue }),
  };
}

/** The text parts of a message, joined. */
export function textOf(parts: readonly object[]): string {
  return parts.map((part) => ('text' in part && typeof part.text === 'string' ? part.text : '')).join('');
}

/** `conversation.created`, as the first thing anybody hears of it. */
export function conversationCreated(conversation: NewConversation, nowMs: number): EventDraft {
  const view: ConversationView = {
    ...conversation,
    queue_mode: 'followup',
    created_at: nowMs,
    updated_at: nowMs,
    archived_at: null,
    message_count: 0,
    last_role: null,
    last_parts: null,
  };
  return {
    type: 'conversation.created',
    scope: { kind: 'agent', id: conversation.agent_key },
    payload: { conversation: toConversation(view) },
  };
}

export function conversationUpdated(conversation: Conversation): EventDraft {
  return {
    type: 'conversation.updated',
    scope: { kind: 'agent', id: conversation.agent_key },
    payload: { conversation },
  };
}

/**
 * `conversation.updated` of each conversation, as the caller's transaction leaves it: without messages, which have events of
 * their own. Each is one event more, the last of its conversation in this commit.
 */
export function conversationsUpdated(
  tx: Tx,
  conversations: ConversationStore,
  refs: readonly ConversationRef[],
): Promise<EventDraft[]> {
  return Promise.all(
    refs.map(async (ref) => {
      const view = await conversations.find(tx, ref);
      if (!view) throw new Error('a conversation that was just written can be read');
      return conversationUpdated(toConversation(view));
    }),
  );
}

/** Milliseconds since the epoch as ISO-8601 UTC. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** A conversation as its key describes it: what the first turn to name it creates. */
export function newConversation(ref: ConversationRef): NewConversation {
  const key = parseConversationKey(ref.conversationKey);
  return {
    tenant_id: ref.tenantId,
    conversation_key: ref.conversationKey,
    agent_key: key.agentKey,
    channel: key.channel ?? 'main',
    account_key: key.accountKey ?? null,
    container_kind: key.containerKind ?? null,
    thread_id: key.threadId,
    title: '',
  };
}
