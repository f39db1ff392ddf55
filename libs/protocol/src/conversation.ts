import type { ContainerKind } from './conversation-key';
import type { JsonValue } from './json';

/** What happens with a message that arrives while a turn runs. */
export const QUEUE_MODES = ['collect', 'followup', 'steer', 'steer_backlog', 'interrupt'] as const;
export type QueueMode = (typeof QUEUE_MODES)[number];

/** What becomes of an input when as many wait as may. */
export const QUEUE_OVERFLOWS = ['reject', 'drop_oldest'] as const;
export type QueueOverflow = (typeof QUEUE_OVERFLOWS)[number];

export const MESSAGE_ROLES = ['system', 'user', 'assistant', 'tool'] as const;
export type MessageRole = (typeof MESSAGE_ROLES)[number];

/** A part of a message: text, file, tool call, … Open but for `type`. */
export interface MessagePart {
  type: string;
  [field: string]: JsonValue;
}

/** A message of the transcript. */
export interface Message {
  id: string;
  role: MessageRole;
  parts: MessagePart[];
  metadata?: JsonValue;
}

/** A conversation without its messages, as lists and events show it. */
export interface ConversationSummary {
  /** On the wire the id IS the conversation key. */
  conversation_id: string;
  agent_key: string;
  account_key?: string;
  channel: string;
  container_kind?: ContainerKind;
  thread_id: string;
  title: string;
  message_count: number;
  updated_at: string;
  created_at: string;
  last_message: { role: MessageRole; text: string } | null;
  archived: boolean;
}

/** A conversation with its newest messages, oldest first. */
export interface Conversation extends ConversationSummary {
  queue_mode: QueueMode;
  messages: Message[];
}

/** A piece of a streamed reply: an AI SDK UI-message chunk, open but for `type`. */
export interface UiMessageChunk {
  type: string;
  [field: string]: JsonValue | undefined;
}
