import {
  comesAfter,
  decodePosition,
  encodePosition,
  type OutboxReader,
  type Position,
  type StoredEvent,
} from '@tyrum/outbox';
import { ContractError, type EventEnvelope, type EventsReplayResult } from '@tyrum/protocol';
import type { Connection } from './connection';
import { reaches, type ConnectionDirectory } from './connection-directory';
import type { EventFanOut } from './event-fan-out';
import { EventFrames, wireEvent } from './event-frames';

/** Where a resumed connection's events begin. */
export interface Resumed {
  readonly from: Position;
  /** As a client keeps it. Equal to the one it sent unless something is missing in between. */
  readonly cursor: string;
  readonly gap: boolean;
}

const PAGE = 500;
const BACKLOG_POLL_MS = 10;

/** Gives peers the events they were not there for. */
export class EventReplay {
  constructor(
    private readonly reader: OutboxReader,
    private readonly directory: ConnectionDirectory,
    private readonly fanOut: EventFanOut,
  ) {}

  /** The answer to `events.replay`: what of the next `limit` events of the installation this connection may see. */
  async page(connection: Connection, cursor: string, limit: number): Promise<EventsReplayResult> {
    const position = decodePosition(cursor);
    if (!position) throw ContractError.at('payload.cursor', 'cursor', 'is not a cursor of this gateway');
    const page = await this.reader.readAfter(position, limit);
    const events = page.events
      .filter((event) => isFor(connection, event))
      .map((event) => ({ ...wireEvent(event), cursor: encodePosition(event.position) }) as EventEnvelope);
    return { events, cursor: encodePosition(page.position), gap: page.gap };
  }

  /**
   * Where a peer that was at `cursor` goes on. At the head when its events are gone or the cursor is of another database:
   * the other cursor it is answered tells it that it has to reload. Without a cursor: at the head, and nothing is missing.
   */
  async resume(cursor: string | undefined): Promise<Resumed> {
    const position = cursor === undefined ? undefined : decodePosition(cursor);
    const isGone = !position || (await this.reader.readAfter(position, 1)).gap;
    const from = isGone ? await this.reader.head() : position;
    return { from, cursor: encodePosition(from), gap: isGone && cursor !== undefined };
  }

  /** Sends what was committed since `from`, then lets the connection join those that get events as they come. */
  async catchUp(connection: Connection, from: Position): Promise<void> {
    let position = from;
    while (connection.link.isOpen) {
      const page = await this.reader.readAfter(position, PAGE);
      // Retention can overtake a peer that reads slowly, too.
      if (page.gap) connection.tellGap(page.position);
      for (const frames of piecesOf(page.events.filter((event) => isFor(connection, event)))) {
        connection.deliver(frames);
        // Catching up alone must never look like a slow reader.
        await this.untilRead(connection);
      }
      position = page.position;
      // Both are read in the same order, so from here on the tail has nothing this connection has not seen or will not see.
      const { last } = this.fanOut;
      const isLevel = page.events.length < PAGE && (!last || !comesAfter(last.position, position));
      if (isLevel) return this.directory.join(connection);
    }
  }

  private async untilRead(connection: Connection): Promise<void> {
    while (connection.link.isOpen && connection.link.isBehind) {
      await new Promise((resolve) => setTimeout(resolve, BACKLOG_POLL_MS));
    }
  }
}

function piecesOf(events: readonly StoredEvent[]): EventFrames[] {
  const pieces: EventFrames[] = [];
  for (const event of events) {
    const last = pieces.at(-1);
    if (last && !last.isFull) last.add(event);
    else pieces.push(EventFrames.of(event));
  }
  return pieces;
}

function isFor(connection: Connection, event: StoredEvent): boolean {
  return event.tenantId === connection.peer.tenantId && reaches(event.scope, connection);
}
