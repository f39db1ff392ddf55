import { encodePosition, type StoredEvent } from '@tyrum/outbox';
import { eventScope } from '@tyrum/protocol';

/** A durable event in its wire shape. */
export function wireEvent(event: StoredEvent): object {
  return {
    event_id: event.eventId,
    type: event.type,
    occurred_at: new Date(event.occurredAt).toISOString(),
    scope: eventScope(event.scope.kind, event.scope.id),
    payload: event.payload,
  };
}

/** One event as frames, each made once however many connections get it. */
export class EventFrames {
  private bare: Buffer | undefined;
  private cursored: Buffer | undefined;

  constructor(private readonly event: StoredEvent) {}

  /** @param withCursor for peers that sent `resume` */
  frame(withCursor: boolean): Buffer {
    if (!withCursor) return (this.bare ??= Buffer.from(JSON.stringify(wireEvent(this.event))));
    return (this.cursored ??= Buffer.from(
      JSON.stringify({ ...wireEvent(this.event), cursor: encodePosition(this.event.position) }),
    ));
  }
}
