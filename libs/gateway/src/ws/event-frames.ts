import { encodePosition, type Position, type StoredEvent } from '@tyrum/outbox';
import { eventScope } from '@tyrum/protocol';

/** A durable event in its wire shape. */
export function wireEvent(event: StoredEvent): WireEvent {
  return {
    event_id: event.eventId,
    type: event.type,
    occurred_at: new Date(event.occurredAt).toISOString(),
    scope: eventScope(event.scope.kind, event.scope.id),
    payload: event.payload,
  };
}

export interface WireEvent {
  readonly event_id: string;
  readonly type: string;
  readonly occurred_at: string;
  readonly scope: object;
  readonly payload: object;
}

/** One event in every form peers take it in, each made once however many connections get it. */
export class EventFrames {
  private bare: Buffer | undefined;
  private cursored: Buffer | undefined;
  private streamed: Buffer | undefined;

  /** @param position absent for what is not recorded: nobody can resume after it */
  constructor(
    private readonly event: WireEvent,
    private readonly position?: Position,
  ) {}

  static of(event: StoredEvent): EventFrames {
    return new EventFrames(wireEvent(event), event.position);
  }

  /** A WebSocket frame. @param withCursor for peers that sent `resume` */
  frame(withCursor: boolean): Buffer {
    if (!withCursor || !this.position) return (this.bare ??= Buffer.from(JSON.stringify(this.event)));
    return (this.cursored ??= Buffer.from(JSON.stringify(this.withCursor(this.position))));
  }

  /** A server-sent event, whose id is the cursor. */
  serverSent(): Buffer {
    return (this.streamed ??= this.position
      ? serverSentEvent(this.event.type, this.withCursor(this.position), encodePosition(this.position))
      : serverSentEvent(this.event.type, this.event));
  }

  private withCursor(position: Position): object {
    return { ...this.event, cursor: encodePosition(position) };
  }
}

/** JSON has no line breaks of its own, so that one `data` line holds it. */
export function serverSentEvent(type: string, data: object, id?: string): Buffer {
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
}
