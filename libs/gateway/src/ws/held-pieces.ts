import { isJsonObject } from '@tyrum/protocol';
import type { FleetingEvent } from './reply-pieces';

/** A fleeting event, and whom it is for. */
export interface Piece {
  readonly tenantId: string;
  readonly agentKey: string;
  readonly event: FleetingEvent;
}

interface Held {
  readonly piece: Piece;
  /** What it may grow by: pieces of the same part of the same reply. Undefined for what stays as it is. */
  readonly part: string | undefined;
  /** What came after the piece's own delta. */
  more: string;
}

/**
 * Pieces of replies that wait to be sent, as few as will do: what comes for the same part of a reply joins what waits of it,
 * so that whoever reads slowly gets fewer and longer pieces of the same text. Within a reply and a type of event the order is
 * kept. Of `typing` only the last word is.
 *
 *     delta "He" · delta "llo" · tool call · delta "!"   ──▶   delta "Hello" · tool call · delta "!"
 */
export class HeldPieces {
  private readonly held = new Set<Held>();
  /** The last that is held of each reply and type: what it does not take goes behind it. */
  private readonly tails = new Map<string, Held>();
  private size = 0;

  get isEmpty(): boolean {
    return this.held.size === 0;
  }

  /** What is held, in bytes of UTF-8; envelopes are not counted. */
  get bytes(): number {
    return this.size;
  }

  add(piece: Piece): void {
    const series = seriesOf(piece);
    const tail = this.tails.get(series);
    const part = partOf(piece.event);
    if (tail && part !== undefined && tail.part === part) {
      const delta = deltaOf(piece.event);
      tail.more += delta;
      this.size += Buffer.byteLength(delta);
      return;
    }
    if (tail && isTyping(piece.event)) this.remove(tail);
    const added: Held = { piece, part, more: '' };
    this.held.add(added);
    this.tails.set(series, added);
    this.size += sizeOf(added);
  }

  /** Everything that is held, in order; nothing is from now on. */
  take(): Piece[] {
    const pieces = [...this.held].map(({ piece, more }) =>
      more === '' ? piece : { ...piece, event: longer(piece.event, more) },
    );
    this.held.clear();
    this.tails.clear();
    this.size = 0;
    return pieces;
  }

  private remove(held: Held): void {
    this.held.delete(held);
    this.size -= sizeOf(held);
  }
}

function isTyping({ type }: FleetingEvent): boolean {
  return type === 'typing.started' || type === 'typing.stopped';
}

/** What has an order of its own. */
function seriesOf({ tenantId, event }: Piece): string {
  const { stream_id, message_id, conversation_id } = event.payload;
  if (isTyping(event)) return JSON.stringify(['typing', tenantId, conversation_id]);
  return JSON.stringify([event.type, tenantId, stream_id ?? message_id]);
}

function partOf({ type, payload }: FleetingEvent): string | undefined {
  if (type === 'message.delta') return 'text';
  const { chunk } = payload;
  if (!isJsonObject(chunk) || typeof chunk['delta'] !== 'string') return undefined;
  // A chunk of a kind we do not know may carry more than a delta: only what says the same but for that is the same part.
  const { delta: _, ...rest } = chunk;
  return JSON.stringify(rest);
}

function deltaOf({ payload }: FleetingEvent): string {
  return isJsonObject(payload['chunk']) ? String(payload['chunk']['delta']) : String(payload['delta']);
}

function longer({ type, payload }: FleetingEvent, more: string): FleetingEvent {
  const { chunk } = payload;
  if (!isJsonObject(chunk)) return { type, payload: { ...payload, delta: String(payload['delta']) + more } };
  return { type, payload: { ...payload, chunk: { ...chunk, delta: String(chunk['delta']) + more } } };
}

function sizeOf({ piece, more }: Held): number {
  return Buffer.byteLength(JSON.stringify(piece.event.payload)) + Buffer.byteLength(more);
}
