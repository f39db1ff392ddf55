import { CloseCode, LIMITS } from '@tyrum/protocol';
import type { Position } from '@tyrum/outbox';
import type { EventFrames } from './event-frames';
import type { Peer } from './handshake';
import { HeldPieces, type Piece } from './held-pieces';

/** What waits in this process for a peer that reads is less: the rest is in the system's own buffers, or read. */
export const CLOGGED_BYTES = 16 * 1024;

/** What carries a connection: a WebSocket, or an answer that does not end. */
export interface PeerLink {
  readonly isOpen: boolean;
  /** A good part of what may wait for the peer is waiting: whoever can do so sends more later. */
  readonly isBehind: boolean;
  /** More is waiting than a peer that reads leaves unread. */
  readonly isClogged: boolean;
  /** Resolves when it is gone. */
  readonly closed: Promise<void>;
  /** Sends, or closes when the peer has left more than its budget unread. Returns whether it went. */
  send(text: string): boolean;
  /** The same for bytes that are in this link's own form already, because they go to many. */
  sendRaw(bytes: Buffer): boolean;
  /** Calls `action` once, when it is no longer clogged. A later action takes the place of one that waits. */
  onceCleared(action: () => void): void;
  /** Calls `action` once, when the system has taken more of what waits, or never will. A later action takes its place. */
  onceSent(action: () => void): void;
  close(code: CloseCode, reason: string): void;
  /** Shows that we are there, and finds out whether the peer is. */
  ping(): void;
  terminate(): void;
}

/** An established connection: who it is, and how much it has asked for. */
export class Connection {
  readonly door: 'ws' | 'http' = 'ws';
  private readonly running = new Set<Promise<unknown>>();
  private held: HeldPieces | undefined;
  private release: (() => void) | undefined;

  constructor(
    readonly peer: Peer,
    readonly link: PeerLink,
    /** Whether its token lets it see the tenant's events. */
    readonly readsEvents: boolean,
    /** Requests it may have under way. One that only listens asks nothing. */
    private readonly requestsInFlight = 0,
  ) {}

  get isBusy(): boolean {
    return this.running.size >= this.requestsInFlight;
  }

  /** Hands events over in the form this peer takes, behind all that came before them. Returns whether they went. */
  deliver(frames: EventFrames): boolean {
    this.release?.();
    return this.link.sendRaw(this.format(frames));
  }

  /**
   * Hands a piece of a reply over. To a peer that reads slower than the reply is written it goes later, in one with what comes
   * for the same part of the reply meanwhile.
   * @param frames the piece as it is; `framesOf` makes those of the longer one
   */
  deliverPiece(piece: Piece, frames: EventFrames, framesOf: (piece: Piece) => EventFrames): boolean {
    if (!this.release && !this.link.isClogged) return this.link.sendRaw(this.format(frames));
    const held = (this.held ??= new HeldPieces());
    held.add(piece);
    if (held.bytes > LIMITS.heldPiecesBytes) {
      held.take();
      this.link.close(CloseCode.Overloaded, 'too slow: too much is waiting to be read');
      return false;
    }
    this.release ??= () => {
      this.release = undefined;
      for (const one of held.take()) this.link.sendRaw(this.format(framesOf(one)));
    };
    this.link.onceCleared(() => this.release?.());
    return true;
  }

  protected format(frames: EventFrames): Buffer {
    return frames.webSocket(this.peer.resumeCursor !== undefined);
  }

  /** Events before `position` are gone. The protocol has no word for it within a session, but has one for the next. */
  tellGap(_position: Position): void {
    this.link.close(CloseCode.Overloaded, 'events are gone: connect again and reload');
  }

  /** Counts `work` as in flight until it settles. It must not reject. */
  track(work: Promise<unknown>): void {
    this.running.add(work);
    void work.finally(() => this.running.delete(work));
  }

  /** Resolves when every request that is in flight now has been answered. */
  async answered(): Promise<void> {
    await Promise.all(this.running);
  }
}
