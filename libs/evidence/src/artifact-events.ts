import type { OutboxEvent } from '@tyrum/outbox';
import type { ArtifactRef } from '@tyrum/protocol';
import type { ArtifactRecord } from '@tyrum/statestore/records';

interface Stamp {
  readonly eventId: string;
  readonly nowMs: number;
}

/**
 * `artifact.created`. Of an upload that belongs to no turn yet only its uploader hears: the event's scope is the client, by
 * the id of its token.
 */
export function createdEvent(record: ArtifactRecord, artifact: ArtifactRef, { eventId, nowMs }: Stamp): OutboxEvent {
  const { turn_id: turnId, uploaded_by: uploader } = record;
  return {
    eventId,
    tenantId: record.tenant_id,
    type: 'artifact.created',
    scope:
      turnId !== null
        ? { kind: 'turn', id: turnId }
        : uploader !== null
          ? { kind: 'client', id: uploader }
          : { kind: 'global' },
    ...(turnId === null ? {} : { turnId }),
    payload: { artifact },
    occurredAt: nowMs,
  };
}

/** `artifact.attached`. */
export function attachedEvent(
  tenantId: string,
  artifact: ArtifactRef,
  turnId: string,
  { eventId, nowMs }: Stamp,
): OutboxEvent {
  return {
    eventId,
    tenantId,
    type: 'artifact.attached',
    scope: { kind: 'turn', id: turnId },
    turnId,
    payload: { artifact, turn_id: turnId },
    occurredAt: nowMs,
  };
}

/** `error`: an artifact that a turn should have had was refused. */
export function refusedEvent(
  tenantId: string,
  turnId: string,
  message: string,
  { eventId, nowMs }: Stamp,
): OutboxEvent {
  return {
    eventId,
    tenantId,
    type: 'error',
    scope: { kind: 'turn', id: turnId },
    turnId,
    payload: { code: 'conflict', message },
    occurredAt: nowMs,
  };
}
