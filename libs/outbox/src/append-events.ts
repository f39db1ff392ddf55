import type { Tx } from '@tyrum/statestore';
import type { OutboxEvent } from './outbox-event';
import { appendEventRows } from './sql/append-events';

/**
 * Appends events to the commit of the change they describe. Events of conversations come with their sequence numbers, and
 * the transaction has locked those conversations before its first write. Nobody need wait for the answer before COMMIT.
 */
export function appendEvents(tx: Tx, events: readonly OutboxEvent[]): Promise<unknown> {
  if (events.length === 0) return Promise.resolve();
  return tx.query(appendEventRows, [events.map(toRow)]);
}

function toRow(event: OutboxEvent): Record<string, unknown> {
  return {
    tenant_id: event.tenantId,
    event_id: event.eventId,
    type: event.type,
    scope_kind: event.scope.kind,
    scope_id: event.scope.id ?? null,
    conversation_key: event.conversationKey ?? null,
    conversation_seq: event.conversationSeq ?? null,
    turn_id: event.turnId ?? null,
    payload: event.payload,
    occurred_at: event.occurredAt,
  };
}
