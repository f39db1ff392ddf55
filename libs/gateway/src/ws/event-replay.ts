import {
  comesAfter,
  decodePosition,
  encodePosition,
  type OutboxReader,
  type Position,
  type StoredEvent,
} from '@tyrum/outbox';
import { CloseCode, ContractError, type EventEnvelope, type EventsReplayResult } from '@tyrum/protocol';
import type { Connection, PeerLink } from './connection';
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

/** Rows of the outbox. */
const PAGE = 100;
/** A peer that catches up and takes nothing of what waits for it for so long is cut off: its place is another's. */
const STALLED_READER_MS = 60_000;

/** Gives peers the events they were not there for. */
export class EventReplay {
  constructor(
    private readonly reader: OutboxReader,
    private readonly directory: ConnectionDirectory,
    private readonly fanOut: EventFanOut,
    private readonly stalledReaderMs = STALLED_READER_MS,
  ) {}

  /** The answer to `events.replay`: what of the next `limit` events of the installation this connection may see. */
  async page(connection: Connection, cursor: string, limit: number): Promise<EventsReplayResult> {
    const position = decodePosition(cursor);
    if (!position) throw ContractError.at('payload.cursor', 'cursor', 'is not a cursor of this gateway');
    const page = await this.reader.take(position, limit);
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
      const isLevel = !page.more && (!last || !comesAfter(last.position, position));
      if (isLevel) return this.directory.join(connection);
    }
  }

  private async untilRead({ link }: Connection): Promise<void> {
    while (link.isOpen && link.isBehind) {
      if (await sentWithin(link, this.stalledReaderMs)) continue;
      return link.close(CloseCode.Overloaded, 'too slow: nothing was read for too long');
    }
  }
}

/** Whether more of what waits for the peer went within `ms`. */
function sentWithin(link: PeerLink, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms).unref();
    link.onceSent(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
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
