import { CloseCode, LIMITS } from '@tyrum/protocol';
import type { Position } from '@tyrum/outbox';
import type { EventFrames } from './event-frames';
import type { Peer } from './handshake';

/** What carries a connection: a WebSocket, or an answer that does not end. */
export interface PeerLink {
  readonly isOpen: boolean;
  /** A good part of what may wait for the peer is waiting: whoever can do so sends more later. */
  readonly isBehind: boolean;
  /** Resolves when it is gone. */
  readonly closed: Promise<void>;
  /** Sends, or closes when the peer has left more than its budget unread. Returns whether it went. */
  send(frame: string | Buffer): boolean;
  close(code: CloseCode, reason: string): void;
  /** Shows that we are there, and finds out whether the peer is. */
  ping(): void;
  terminate(): void;
}

/** An established connection: who it is, and how much it has asked for. */
export class Connection {
  private readonly running = new Set<Promise<unknown>>();

  constructor(
    readonly peer: Peer,
    readonly link: PeerLink,
    /** Whether its token lets it see the tenant's events. */
    readonly readsEvents: boolean,
  ) {}

  get isBusy(): boolean {
    return this.running.size >= LIMITS.requestsInFlightPerConnection;
  }

  /** Hands an event over in the form this peer takes. Returns whether it went. */
  deliver(frames: EventFrames): boolean {
    return this.link.send(frames.frame(this.peer.resumeCursor !== undefined));
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
