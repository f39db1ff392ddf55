import { encodePosition, type Position } from '@tyrum/outbox';
import { CloseCode } from '@tyrum/protocol';
import type { Response } from 'express';
import { CLOGGED_BYTES, Connection, type PeerLink } from '../ws/connection';
import { serverSentEvent, type EventFrames } from '../ws/event-frames';

/** How long a client waits before it comes back after a cut, in ms. */
const RETRY_MS = 1_000;

/** What an event stream's head says. Proxies must not collect what is meant to arrive piece by piece. */
export const EVENT_STREAM_HEAD = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
};

export interface EventStreamOptions {
  /** Bytes that may wait for a slow reader. */
  readonly sendBufferBytes: number;
  readonly onClosing: (code: CloseCode) => void;
}

/** An HTTP answer that does not end, with the manners of our WebSockets: bounded memory, heartbeats, a reason for the end. */
export class EventStreamLink implements PeerLink {
  readonly closed: Promise<void>;
  private readonly sendBufferBytes: number;
  /** Before the head is sent nothing may be: a heartbeat would send one of its own. */
  private isBegun = false;
  private isClosing = false;
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

  constructor(
    private readonly response: Response,
    private readonly options: EventStreamOptions,
  ) {
    this.sendBufferBytes = options.sendBufferBytes;
    this.closed = new Promise((resolve) => response.once('close', () => resolve()));
    response.on('error', () => undefined);
  }

  /** Sends the head. */
  open(): void {
    this.isBegun = true;
    this.response.writeHead(200, EVENT_STREAM_HEAD);
    this.response.write(`retry: ${RETRY_MS}\n\n`);
  }

  get isOpen(): boolean {
    return this.isBegun && !this.isClosing && !this.response.destroyed && !this.response.writableEnded;
  }

  get isBehind(): boolean {
    return this.response.writableLength > this.sendBufferBytes / 4;
  }

  get isClogged(): boolean {
    return this.response.writableLength > CLOGGED_BYTES;
  }

  onceCleared(action: () => void): void {
    this.whenCleared = action;
  }

  onceSent(action: () => void): void {
    this.whenSent = action;
  }

  send(text: string): boolean {
    return this.sendRaw(Buffer.from(text));
  }

  sendRaw(bytes: Buffer): boolean {
    if (!this.isOpen) return false;
    if (this.response.writableLength > this.sendBufferBytes) {
      this.cut();
      return false;
    }
    this.response.write(bytes, this.sent);
    return true;
  }

  /** Says why, and ends the answer. While restarting, the reason is the delay in ms after which the client comes back. */
  close(code: CloseCode, reason: string): void {
    if (!this.isBegun) return void this.response.destroy();
    if (!this.isOpen) return;
    if (code === CloseCode.Overloaded && this.isClogged) return this.cut();
    this.isClosing = true;
    this.options.onClosing(code);
    const retry = code === CloseCode.Restarting ? `retry: ${Number(reason) || RETRY_MS}\n` : '';
    this.response.end(`${retry}${serverSentEvent('close', { code, reason }).toString()}`);
  }

  /** A goodbye would wait behind what is not read: the cut is the message, and the last id says where to go on. */
  private cut(): void {
    this.isClosing = true;
    this.options.onClosing(CloseCode.Overloaded);
    this.response.destroy();
  }

  /** A comment: it keeps proxies from taking silence for an end. */
  ping(): void {
    this.send(':\n\n');
  }

  terminate(): void {
    this.response.destroy();
  }
}

/** A reader of events over HTTP, among the connections of this edge. */
export class EventStreamConnection extends Connection {
  override readonly door = 'http';

  protected override format(frames: EventFrames): Buffer {
    return frames.serverSent();
  }

  /** The stream goes on after the gap, and says where. */
  override tellGap(position: Position): void {
    const cursor = encodePosition(position);
    this.link.sendRaw(serverSentEvent('gap', { cursor }, cursor));
  }
}
