import type { ArtifactStore } from '@tyrum/evidence';
import { isUniqueViolation, type Tx } from '@tyrum/statestore';
import type { Conversations, TurnIntake, TurnReader } from '@tyrum/execution';
import type { IdempotencyKey } from '@tyrum/idempotency';
import {
  artifactIdOf,
  ContractError,
  LIMITS,
  newUiConversationKey,
  WireError,
  type ConversationCreatePayload,
  type ConversationDeleteResult,
  type ConversationListPayload,
  type ConversationListResult,
  type ConversationQueueBody,
  type ConversationResult,
  type ConversationSendPayload,
  type StreamResult,
} from '@tyrum/protocol';
import { notFound } from '../failures';
import type { GatewayMetrics } from '../gateway-metrics';
import { accept } from './accept';
import { BY_UPDATE } from './list-cursor';
import type { ArtifactDesk } from './artifact-desk';
import type { Answered, Once } from './once';

export interface ChatPorts {
  readonly conversations: Conversations;
  readonly intake: TurnIntake;
  readonly reader: TurnReader;
  readonly artifacts: ArtifactStore;
  readonly desk: ArtifactDesk;
  readonly once: Once;
  readonly metrics: GatewayMetrics;
}

/** Somebody waits for the reply: it goes before work that has waited for up to half a minute longer. */
const INTERACTIVE_PRIORITY = 1;

/** What clients do with conversations, for the WebSocket and for HTTP alike. */
export class Chats {
  constructor(
    private readonly ports: ChatPorts,
    private readonly newId: () => string,
  ) {}

  async create(key: IdempotencyKey, payload: ConversationCreatePayload): Promise<Answered<ConversationResult>> {
    const conversationKey = newUiConversationKey(this.newId(), payload.agent_key, payload.channel);
    const ref = { tenantId: key.tenantId, conversationKey };
    const { conversations } = this.ports;
    const done = await this.ports.once.run({ ...key, conversations: [ref] }, async (tx) => {
      const created = await conversations.createIn(tx, ref);
      if (payload.queue_mode === undefined) return { conversation: created };
      const set = await conversations.setQueueIn(tx, ref, { mode: payload.queue_mode });
      return { conversation: set ?? created };
    });
    this.ports.conversations.wake();
    return done;
  }

  async list(tenantId: string, payload: ConversationListPayload): Promise<ConversationListResult> {
    const after = payload.cursor === undefined ? undefined : BY_UPDATE.decode(payload.cursor, 'payload.cursor');
    const page = await this.ports.conversations.list({
      tenantId,
      ...(payload.agent_key === undefined ? {} : { agentKey: payload.agent_key }),
      ...(payload.channel === undefined ? {} : { channel: payload.channel }),
      archived: payload.archived ?? false,
      ...(after ? { after } : {}),
      limit: payload.limit,
    });
    return {
      conversations: page.conversations,
      ...(page.next ? { next_cursor: BY_UPDATE.encode(page.next) } : {}),
    };
  }

  /** @throws {WireError} not_found */
  async get(tenantId: string, conversationKey: string): Promise<ConversationResult> {
    const conversation = await this.ports.conversations.get({ tenantId, conversationKey });
    if (!conversation) throw notFound('conversation');
    return { conversation };
  }

  /** Sets what happens with inputs that come while a turn runs. @throws {WireError} not_found @throws {KeyReusedError} */
  async setQueue(
    key: IdempotencyKey,
    conversationKey: string,
    queue: ConversationQueueBody,
  ): Promise<Answered<ConversationResult>> {
    const ref = { tenantId: key.tenantId, conversationKey };
    const done = await this.ports.once.run({ ...key, conversations: [ref] }, async (tx) => {
      const conversation = await this.ports.conversations.setQueueIn(tx, ref, queue);
      if (!conversation) throw notFound('conversation');
      return { conversation };
    });
    this.ports.conversations.wake();
    return done;
  }

  /**
   * Accepts a reply to write. The stream's id is the turn's. Artifacts the message refers to (`artifact://<uuid>` as the `url` of
   * a part) belong to the turn from then on.
   * @param tokenId the sender's
   * @throws {WireError} not_found @throws {KeyReusedError}
   */
  send(key: IdempotencyKey, tokenId: string, payload: ConversationSendPayload): Promise<Answered<StreamResult>> {
    return this.ports.once.orReplayed(key, () => this.acceptReply(key, tokenId, payload));
  }

  private async acceptReply(
    key: IdempotencyKey,
    tokenId: string,
    payload: ConversationSendPayload,
  ): Promise<Answered<StreamResult>> {
    const { artifacts, desk } = this.ports;
    const ref = { tenantId: key.tenantId, conversationKey: payload.conversation_id };
    const message = this.messageOf(payload);
    if (!(await this.ports.conversations.exists(ref))) throw notFound('conversation');
    const referred = referencesIn(message?.parts ?? []);
    const attached = await desk.requireReadable({ tenantId: key.tenantId, tokenId }, referred);
    const turnId = this.newId();
    const alongside = (tx: Tx) => artifacts.attachIn(tx, key.tenantId, turnId, attached);
    const answer: StreamResult = { stream_id: turnId };
    const how = { kind: 'chat', triggerKind: 'message', priority: INTERACTIVE_PRIORITY } as const;
    const request = { ...ref, ...how, turnId, idempotency: key, answer };
    try {
      const input = { trigger: payload.trigger };
      return await accept<StreamResult>(this.ports, {
        ...request,
        input,
        ...(message ? { message } : {}),
        ...(attached.length > 0 ? { alongside } : {}),
      });
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new WireError('conflict', 'a message with this message_id is in the conversation');
    }
  }

  /** The stream that is or will be written, or null. @throws {WireError} not_found */
  async reconnect(tenantId: string, conversationKey: string): Promise<StreamResult | null> {
    const streamId = await this.ports.reader.openStreamId(tenantId, conversationKey);
    if (streamId !== undefined) return { stream_id: streamId };
    if (!(await this.ports.conversations.exists({ tenantId, conversationKey }))) throw notFound('conversation');
    return null;
  }

  /** @throws {WireError} not_found; conflict while a turn is open */
  async remove(key: IdempotencyKey, conversationKey: string): Promise<Answered<ConversationDeleteResult>> {
    const ref = { tenantId: key.tenantId, conversationKey };
    return this.ports.once.run({ ...key, conversations: [ref] }, async (tx) => {
      const outcome = await this.ports.conversations.deleteIn(tx, ref);
      if (outcome === 'not_found') throw notFound('conversation');
      if (outcome === 'busy') throw new WireError('conflict', 'the conversation has an open turn: cancel it first');
      return { conversation_id: conversationKey };
    });
  }

  /** The new user message; none when an earlier one is to be answered again. */
  private messageOf({ trigger, messages, message_id, metadata }: ConversationSendPayload) {
    if (trigger === 'regenerate-message') return undefined;
    const last = messages?.findLast(({ role }) => role === 'user');
    if (!last || last.parts.length === 0) {
      throw ContractError.at('payload.messages', 'userMessage', 'must hold a user message with parts');
    }
    const about = last.metadata ?? metadata;
    return {
      messageId: message_id ?? this.newId(),
      parts: last.parts,
      ...(typeof about === 'object' && about !== null ? { metadata: about } : {}),
    };
  }
}

/** The artifacts that a message's parts refer to, and where. @throws {ContractError} for too many */
function referencesIn(parts: readonly object[]): { readonly field: string; readonly artifactId: string }[] {
  const found = parts.flatMap((part, i) => {
    const { url } = part as { url?: unknown };
    const artifactId = typeof url === 'string' ? artifactIdOf(url) : undefined;
    return artifactId === undefined ? [] : [{ field: `payload.messages.parts[${i}].url`, artifactId }];
  });
  if (found.length > LIMITS.artifactsPerMessage) {
    const message = `must not refer to more than ${LIMITS.artifactsPerMessage} artifacts`;
    throw ContractError.at('payload.messages', 'artifacts', message);
  }
  return found;
}
