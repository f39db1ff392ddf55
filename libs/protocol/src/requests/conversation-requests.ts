import { MESSAGE_ROLES, QUEUE_MODES, type Conversation, type MessageRole, type QueueMode } from '../conversation';
import type { JsonObject, JsonValue } from '../json';
import { LIMITS } from '../limits';
import {
  AnyJson,
  ConversationKeyText,
  Flag,
  KeyPart,
  NestedList,
  OneOf,
  OpenObject,
  Optional,
  Text,
  WholeNumber,
} from '../payload-fields';
import { OpenFields } from '../validate';

export class ConversationCreatePayload {
  @Optional()
  @KeyPart()
  agent_key?: string;

  @Optional()
  @KeyPart()
  channel?: string;

  /** An addition of ours: what happens with inputs that come while a turn runs. `followup` when absent. */
  @Optional()
  @OneOf(QUEUE_MODES)
  queue_mode?: QueueMode;
}

export interface ConversationResult {
  conversation: Conversation;
}

export class ConversationListPayload {
  @Optional()
  @KeyPart()
  agent_key?: string;

  @Optional()
  @KeyPart()
  channel?: string;

  @WholeNumber(1, LIMITS.conversationListMax)
  limit: number = LIMITS.conversationListDefault;

  @Optional()
  @Text(LIMITS.listCursorLength)
  cursor?: string;

  @Optional()
  @Flag()
  archived?: boolean;
}

export interface ConversationListResult {
  conversations: Conversation[];
  next_cursor?: string;
}

/** `conversation.get`, `.delete`, `.reconnect`. */
export class ConversationRefPayload {
  @ConversationKeyText()
  conversation_id: string;
}

export interface ConversationDeleteResult {
  conversation_id: string;
}

/** A part of a message; open but for `type`. */
@OpenFields()
export class MessagePartPayload {
  @Text(LIMITS.labelLength)
  type: string;

  [field: string]: JsonValue;
}

export class MessagePayload {
  @Text(LIMITS.idLength)
  id: string;

  @OneOf(MESSAGE_ROLES)
  role: MessageRole;

  @NestedList(() => MessagePartPayload, { max: LIMITS.partsPerMessage })
  parts: MessagePartPayload[];

  @Optional()
  @AnyJson()
  metadata?: JsonValue;
}

export const SEND_TRIGGERS = ['submit-message', 'regenerate-message'] as const;
export type SendTrigger = (typeof SEND_TRIGGERS)[number];

/** `POST /v1/conversations/:key/messages`: `conversation.send`, with the conversation in the path. */
export class MessageSendBody {
  @Optional()
  @Text(LIMITS.idLength)
  message_id?: string;

  @NestedList(() => MessagePayload, { max: LIMITS.messagesPerSend, optional: true })
  messages?: MessagePayload[];

  @OneOf(SEND_TRIGGERS)
  trigger: SendTrigger;

  @Optional()
  @OpenObject()
  headers?: JsonObject;

  @Optional()
  @OpenObject()
  body?: JsonObject;

  @Optional()
  @AnyJson()
  metadata?: JsonValue;
}

export class ConversationSendPayload extends MessageSendBody {
  @ConversationKeyText()
  conversation_id: string;
}

export interface StreamResult {
  stream_id: string;
}
