import { type ConversationRef } from '@tyrum/statestore';
import type { OutboxEvent } from '@tyrum/outbox';
import type { UsageSnapshotEvent } from '@tyrum/protocol';

/** An event before it has its place in the conversation. */
export type EventDraft = Pick<OutboxEvent, 'type' | 'scope' | 'payload'> & { readonly turnId?: string };

/** Stamps drafts with ids, the time and consecutive places in their conversation. */
export function placeEvents(
  ref: ConversationRef,
  firstSeq: number,
  drafts: readonly EventDraft[],
  stamp: { readonly newId: () => string; readonly nowMs: number },
): OutboxEvent[] {
  // Field by field: there are four of these a turn, and a copy by spread takes V8 several times as long.
  return drafts.map(({ type, scope, payload, turnId }, i) => ({
    eventId: stamp.newId(),
    tenantId: ref.tenantId,
    type,
    scope,
    conversationKey: ref.conversationKey,
    conversationSeq: firstSeq + i,
    turnId,
    payload,
    occurredAt: stamp.nowMs,
  }));
}

type TurnEventType = 'turn.queued' | 'turn.started' | 'turn.resumed' | 'turn.completed' | 'turn.failed';

/** `turn.queued`, `turn.started`, `turn.resumed`, `turn.completed`, `turn.failed`. */
export function turnEvent(type: TurnEventType, turnId: string): EventDraft {
  return { type, turnId, scope: { kind: 'turn', id: turnId }, payload: { turn_id: turnId } };
}

export function turnCancelled(turnId: string, reason: string | null): EventDraft {
  const payload = { turn_id: turnId, ...(reason ? { reason } : {}) };
  return { type: 'turn.cancelled', turnId, scope: { kind: 'turn', id: turnId }, payload };
}

export function turnBlocked(turnId: string, reason: string, detail: string): EventDraft {
  return {
    type: 'turn.blocked',
    turnId,
    scope: { kind: 'turn', id: turnId },
    payload: { turn_id: turnId, reason, detail },
  };
}

export interface ToolLifecycle {
  readonly conversationKey: string;
  readonly turnId: string;
  readonly stepIndex: number;
  readonly tool: string;
  readonly status: 'running' | 'succeeded' | 'failed' | 'retrying' | 'cancelled' | 'unknown' | 'waiting';
  readonly summary: string;
  readonly durationMs?: number;
  readonly error?: string;
}

/** A step's progress. A step's call id is its turn and place, the same for every attempt. */
export function toolLifecycle(step: ToolLifecycle): EventDraft {
  return {
    type: 'tool.lifecycle',
    turnId: step.turnId,
    scope: { kind: 'conversation', id: step.conversationKey },
    payload: {
      conversation_id: step.conversationKey,
      thread_id: threadIdOf(step.conversationKey),
      tool_call_id: `${step.turnId}:${step.stepIndex}`,
      tool_id: step.tool,
      status: step.status,
      summary: step.summary,
      turn_id: step.turnId,
      duration_ms: step.durationMs,
      error: step.error,
    },
  };
}

/** `usage.snapshot`: what a model call has used. */
export function usageSnapshot(usage: UsageSnapshotEvent): EventDraft {
  return {
    type: 'usage.snapshot',
    turnId: usage.turn_id,
    scope: { kind: 'turn', id: usage.turn_id },
    payload: { ...usage },
  };
}

export interface FinalMessage {
  readonly conversationKey: string;
  readonly messageId: string;
  readonly role: string;
  readonly content: string;
  readonly turnId?: string;
}

/** `message.final`: a message is in the transcript. */
export function messageFinal(message: FinalMessage): EventDraft {
  return {
    type: 'message.final',
    ...(message.turnId ? { turnId: message.turnId } : {}),
    scope: { kind: 'conversation', id: message.conversationKey },
    payload: {
      conversation_id: message.conversationKey,
      message_id: message.messageId,
      role: message.role,
      content: message.content,
      ...(message.turnId ? { turn_id: message.turnId } : {}),
    },
  };
}

/** The thread a conversation key names: its last part. */
export function threadIdOf(conversationKey: string): string {
  return conversationKey.slice(conversationKey.lastIndexOf(':') + 1);
}
