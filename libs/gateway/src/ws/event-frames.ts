import { encodePosition, type StoredEvent } from '@tyrum/outbox';
import { eventScope } from '@tyrum/protocol';
import { textFrame } from './text-frame';

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

/** An event's JSON, written once for every form it is sent in. */
interface EventText {
  readonly type: string;
  readonly json: string;
  /** Absent for what is not recorded: nobody can resume after it. */
  readonly cursor?: string;
}

/** Events that go out together are about so large in all: far below what may wait for a reader, in UTF-16 code units. */
const TOGETHER_LENGTH = 64 * 1024;

/**
 * Some events in every form peers take them in, each made once however many connections get it, and in one piece: what a
 * socket costs is the write, not the bytes.
 */
export class EventFrames {
  private readonly texts: EventText[] = [];
  private length = 0;
  private bare: Buffer | undefined;
  private cursored: Buffer | undefined;
  private streamed: Buffer | undefined;

  static of(event: StoredEvent): EventFrames {
    const frames = new EventFrames();
    frames.add(event);
    return frames;
  }

  /** An event that is not recorded. */
  static live(event: WireEvent): EventFrames {
    const frames = new EventFrames();
    frames.push({ type: event.type, json: JSON.stringify(event) });
    return frames;
  }

  get count(): number {
    return this.texts.length;
  }

  /** Another one would make it too much for one piece. */
  get isFull(): boolean {
    return this.length >= TOGETHER_LENGTH;
  }

  /** Before anything of it was sent. */
  add(event: StoredEvent): void {
    const json = JSON.stringify(wireEvent(event));
    this.push({ type: event.type, json, cursor: encodePosition(event.position) });
  }

  /** Whole WebSocket frames, one an event. @param withCursor for peers that sent `resume` */
  webSocket(withCursor: boolean): Buffer {
    if (withCursor) return (this.cursored ??= joined(this.texts, (text) => textFrame(Buffer.from(withCursorOf(text)))));
    return (this.bare ??= joined(this.texts, ({ json }) => textFrame(Buffer.from(json))));
  }

  /** Server-sent events, whose ids are the cursors. */
  serverSent(): Buffer {
    return (this.streamed ??= joined(this.texts, (text) =>
      Buffer.from(serverSent(text.type, withCursorOf(text), text.cursor)),
    ));
  }

  private push(text: EventText): void {
    this.texts.push(text);
    this.length += text.json.length;
  }
}

export function serverSentEvent(type: string, data: object, id?: string): Buffer {
  return Buffer.from(serverSent(type, JSON.stringify(data), id));
}

/** JSON has no line breaks of its own, so that one `data` line holds it. */
function serverSent(type: string, json: string, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${json}\n\n`;
}

/** A cursor is base64url, so it needs no escaping; the object before it is never empty. */
function withCursorOf({ json, cursor }: EventText): string {
  return cursor === undefined ? json : `${json.slice(0, -1)},"cursor":"${cursor}"}`;
}

function joined(texts: readonly EventText[], form: (text: EventText) => Buffer): Buffer {
  const [first, ...more] = texts.map(form);
  return first && more.length === 0 ? first : Buffer.concat(first ? [first, ...more] : []);
}
