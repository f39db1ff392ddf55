import type { Duplex } from 'node:stream';
import { CloseCode } from '@tyrum/protocol';
import { WebSocket } from 'ws';
import { CLOGGED_BYTES, type PeerLink } from './connection';

export interface SocketLinkOptions {
  /** Bytes that may wait for a slow reader. */
  readonly sendBufferBytes: number;
  /** Pings in a row that may go unanswered. */
  readonly missedPings: number;
  readonly onClosing: (code: CloseCode) => void;
}

/** The longest reason a close frame can carry, in bytes. */
const MAX_REASON_BYTES = 123;

/** One WebSocket with the gateway's manners: bounded memory for what is to be sent, and liveness by ping. */
export class SocketLink implements PeerLink {
  private readonly sendBufferBytes: number;
  private missedPongs = 0;
  private gathering = false;
  private whenCleared: (() => void) | undefined;
  private whenSent: (() => void) | undefined;
  private readonly sent = (): void => {
    const goOn = this.whenSent;
    this.whenSent = undefined;
    goOn?.();
    if (!this.whenCleared || this.isClogged) return;
    const action = this.whenCleared;
    this.whenCleared = undefined;
    action();
  };
  /** Resolves when the socket is gone. */
  readonly closed: Promise<void>;

  constructor(
    private readonly socket: WebSocket,
    /** What the WebSocket writes to. Without compression it holds nothing back, so that what is written here keeps its place. */
    private readonly bytes: Duplex,
    private readonly options: SocketLinkOptions,
  ) {
    this.sendBufferBytes = options.sendBufferBytes;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('pong', () => (this.missedPongs = 0));
    socket.on('message', () => (this.missedPongs = 0));
    // Its close event follows and is what we act on; without a listener the process would end.
    socket.on('error', () => undefined);
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** A quarter of the budget is unread. */
  get isBehind(): boolean {
    return this.socket.bufferedAmount > this.sendBufferBytes / 4;
  }

  get isClogged(): boolean {
    return this.socket.bufferedAmount > CLOGGED_BYTES;
  }

  onceCleared(action: () => void): void {
    this.whenCleared = action;
  }

  onceSent(action: () => void): void {
    this.whenSent = action;
  }

  /**
   * Sends one text frame, or closes with 1013 when the peer has left more than the budget unread: what waits for one slow
   * reader must not cost the others their memory. Whatever it missed, it finds again by its cursor. Returns whether it went.
   */
  send(text: string): boolean {
    if (!this.hasRoom()) return false;
    this.gather();
    this.socket.send(text, { compress: false }, this.sent);
    this.letGo();
    return true;
  }

  /** As `send`, for whole frames that were made once for many. */
  sendRaw(frames: Buffer): boolean {
    if (!this.hasRoom()) return false;
    this.bytes.write(frames, this.sent);
    this.letGo();
    return true;
  }

  /** Answers that one commit let go leave in one write: a system call less each, and one wake-up of the reader. */
  private gather(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.bytes.cork();
    process.nextTick(() => {
      this.gathering = false;
      this.bytes.uncork();
    });
  }

  /** What is gathered looks like what the reader has left unread: it must not become so much that it would matter. */
  private letGo(): void {
    if (!this.gathering || !this.isClogged) return;
    this.bytes.uncork();
    this.bytes.cork();
  }

  private hasRoom(): boolean {
    if (!this.isOpen) return false;
    if (this.socket.bufferedAmount <= this.sendBufferBytes) return true;
    this.close(CloseCode.Overloaded, 'too slow: too much is waiting to be read');
    return false;
  }

  /** Begins the closing handshake. Later calls change nothing. */
  close(code: CloseCode, reason: string): void {
    if (!this.isOpen) return;
    this.options.onClosing(code);
    this.socket.close(code, cut(reason));
  }

  /** Asks whether the peer is there; cuts the connection when it has left `missedPings` unanswered. */
  ping(): void {
    if (!this.isOpen) return;
    if (this.missedPongs >= this.options.missedPings) return this.socket.terminate();
    this.missedPongs += 1;
    this.socket.ping();
  }

  terminate(): void {
    this.socket.terminate();
  }
}

/** At most `MAX_REASON_BYTES` bytes of UTF-8, without half a character at the end. */
function cut(reason: string): string {
  let text = reason.slice(0, MAX_REASON_BYTES);
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return text;
}
