import { isConversationKey, isJsonObject } from '@tyrum/protocol';

/** An event that is shown and not recorded. */
export interface FleetingEvent {
  readonly type: 'chat.ui-message.stream' | 'message.delta' | 'typing.started' | 'typing.stopped';
  readonly payload: Readonly<Record<string, unknown>>;
}

/** A piece of a reply, as the worker that writes it publishes it, and whom it is for. */
export interface ReplyPiece {
  readonly tenantId: string;
  readonly agentKey: string;
  readonly events: readonly FleetingEvent[];
}

/**
 * What a message of the topic `stream` means for peers; undefined for what is malformed. One message serves the three kinds of
 * events that tell of a reply under way: sending each by itself would triple what every edge is woken for.
 */
export function readReplyPiece(text: string | undefined): ReplyPiece | undefined {
  const piece = parse(text);
  if (!piece) return undefined;
  const { tenant_id, agent_key, conversation_id, ...payload } = piece;
  if (typeof tenant_id !== 'string' || typeof agent_key !== 'string' || typeof payload.stream_id !== 'string')
    return undefined;
  const events: FleetingEvent[] = [{ type: 'chat.ui-message.stream', payload }];
  if (typeof conversation_id === 'string' && isConversationKey(conversation_id)) {
    events.push(...told(conversation_id, payload.stream_id, payload));
  }
  return { tenantId: tenant_id, agentKey: agent_key, events };
}

/** The same in the words of the conversation. The stream's id is the id of the message it becomes. */
function told(conversation_id: string, message_id: string, { stage, chunk }: Record<string, unknown>): FleetingEvent[] {
  if (stage === 'done' || stage === 'error') return [{ type: 'typing.stopped', payload: { conversation_id } }];
  if (!isJsonObject(chunk)) return [];
  if (chunk.type === 'start') return [{ type: 'typing.started', payload: { conversation_id } }];
  if (chunk.type !== 'text-delta' || typeof chunk.delta !== 'string') return [];
  const payload = { conversation_id, message_id, role: 'assistant', delta: chunk.delta, turn_id: message_id };
  return [{ type: 'message.delta', payload }];
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const piece: unknown = JSON.parse(text ?? '');
    return isJsonObject(piece) ? piece : undefined;
  } catch {
    return undefined;
  }
}
