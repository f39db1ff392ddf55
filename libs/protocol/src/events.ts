import type { Approval, PolicyOverride } from './approval';
import type { ArtifactRef } from './artifact';
import type { Conversation, MessageRole, UiMessageChunk } from './conversation';
import type { ErrorCode } from './error-codes';
import type { Capability, Pairing } from './pairing';
import type { PresenceEntry } from './presence';
import type { BlockedReason, Turn, TurnItem } from './turn';

/** Whom an event is about; who may see it follows from it. */
export type EventScope =
  | { kind: 'global' }
  | { kind: 'agent'; agent_id: string }
  | { kind: 'conversation'; conversation_key: string }
  | { kind: 'turn'; turn_id: string }
  | { kind: 'node'; node_id: string }
  | { kind: 'client'; client_id: string };
export type EventScopeKind = EventScope['kind'];

/** The name under which each kind of scope carries its id. */
export const SCOPE_ID_FIELDS = Object.freeze({
  global: null,
  agent: 'agent_id',
  conversation: 'conversation_key',
  turn: 'turn_id',
  node: 'node_id',
  client: 'client_id',
} as const satisfies Record<EventScopeKind, string | null>);

/** A scope of that kind and id: `("turn", id)` → `{kind: "turn", turn_id: id}`. `id` is ignored for `global`. */
export function eventScope(kind: EventScopeKind, id?: string): EventScope {
  const field = SCOPE_ID_FIELDS[kind];
  return (field === null ? { kind } : { kind, [field]: id ?? '' }) as EventScope;
}

export interface TurnRef {
  turn_id: string;
}

export type ToolStatus = 'running' | 'succeeded' | 'failed' | 'retrying' | 'waiting' | 'cancelled' | 'unknown';

/** The progress of one tool call or step. */
export interface ToolLifecycleEvent {
  /** The conversation key. */
  conversation_id: string;
  thread_id: string;
  tool_call_id: string;
  tool_id: string;
  status: ToolStatus;
  summary: string;
  duration_ms?: number;
  error?: string;
  turn_id?: string;
}

/** Names a message of a conversation. */
export interface MessageEvent {
  conversation_id: string;
  message_id: string;
  role: MessageRole;
  turn_id?: string;
}

/** What one model call has used, by the model service's own count. Told once a call, with its result. */
export interface UsageSnapshotEvent {
  turn_id: string;
  conversation_key: string;
  /** The place of the call's step in its turn. */
  step_index: number;
  /** The model that was asked for. */
  model?: string;
  /** Tokens. Both are absent where the service tells the total alone. */
  input_tokens?: number;
  output_tokens?: number;
  total_tokens: number;
  /** Micro-dollars, rounded up; absent where the worker does not know what the model costs. */
  usd_micros?: number;
}

export type ChatStreamEvent =
  | { stream_id: string; stage: 'chunk'; chunk: UiMessageChunk }
  | { stream_id: string; stage: 'done' }
  | { stream_id: string; stage: 'error'; error: { message: string } };

/** The payload of every event type. */
export interface EventPayloads {
  'turn.queued': TurnRef;
  'turn.started': TurnRef;
  'turn.resumed': TurnRef;
  'turn.completed': TurnRef;
  'turn.failed': TurnRef;
  'turn.cancelled': TurnRef & { reason?: string };
  'turn.blocked': TurnRef & { reason: BlockedReason; approval_id?: string; detail?: string };
  'turn.updated': { turn: Turn };
  'turn.item.created': { turn_item: TurnItem };
  'tool.lifecycle': ToolLifecycleEvent;
  'message.delta': MessageEvent & { delta: string };
  'message.final': MessageEvent & { content: string };
  'typing.started': { conversation_id: string };
  'typing.stopped': { conversation_id: string };
  'approval.updated': { approval: Approval };
  'policy_override.created': { override: PolicyOverride };
  'policy_override.revoked': { override: PolicyOverride };
  'policy_override.expired': { override: PolicyOverride };
  'artifact.created': { artifact: ArtifactRef };
  'artifact.attached': { artifact: ArtifactRef; turn_id: string };
  'conversation.created': { conversation: Conversation };
  'conversation.updated': { conversation: Conversation };
  /** `scoped_token` is sent once, to the node it belongs to. */
  'pairing.updated': { pairing: Pairing; scoped_token?: string };
  'presence.upserted': { entry: PresenceEntry };
  'presence.pruned': { instance_id: string };
  'capability.ready': { node_id: string; capabilities: Capability[]; [field: string]: unknown };
  'delivery.receipt': { conversation_id: string; message_id: string; status: string; [field: string]: unknown };
  'usage.snapshot': UsageSnapshotEvent;
  'auth.failed': { reason: string; [field: string]: unknown };
  'authz.denied': { reason: string; [field: string]: unknown };
  error: { code: ErrorCode; message: string };
  'chat.ui-message.stream': ChatStreamEvent;
}
export type EventType = keyof EventPayloads;

interface EventNature {
  readonly durable: boolean;
  readonly reserved?: boolean;
}

const durable = Object.freeze({ durable: true });
const bestEffort = Object.freeze({ durable: false });
/** Nothing here causes it yet: clients know it, and no edge sends it (decision 0018). */
const reserved = Object.freeze({ durable: true, reserved: true });

/**
 * Every event type. A durable one is an outbox row in the commit of the change it describes and is delivered at least
 * once; the rest are best effort and never carry the only copy of anything.
 */
export const EVENTS: Readonly<Record<EventType, EventNature>> = Object.freeze({
  'turn.queued': durable,
  'turn.started': durable,
  'turn.resumed': durable,
  'turn.completed': durable,
  'turn.failed': durable,
  'turn.cancelled': durable,
  'turn.blocked': durable,
  'turn.updated': reserved,
  'turn.item.created': reserved,
  'tool.lifecycle': durable,
  'message.delta': bestEffort,
  'message.final': durable,
  'typing.started': bestEffort,
  'typing.stopped': bestEffort,
  'approval.updated': durable,
  'policy_override.created': durable,
  'policy_override.revoked': durable,
  'policy_override.expired': reserved,
  'artifact.created': durable,
  'artifact.attached': durable,
  'conversation.created': durable,
  'conversation.updated': durable,
  'pairing.updated': durable,
  'presence.upserted': bestEffort,
  'presence.pruned': bestEffort,
  'capability.ready': durable,
  'delivery.receipt': reserved,
  'usage.snapshot': durable,
  'auth.failed': durable,
  'authz.denied': durable,
  error: durable,
  'chat.ui-message.stream': bestEffort,
});

/** Whether `type` is an event of the catalogue. Only own names count. */
export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENTS, type);
}
