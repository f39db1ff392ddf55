import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** Any will do, and with zeros what is masked is what was there. */
const NO_MASK = Buffer.alloc(4);

export interface LeanSocketOptions {
  /** `ws://host:port/path`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A text frame, whole; the bytes are only good during the call. */
  readonly onText: (text: Buffer) => void;
  /** It ended, though it should not have. */
  readonly onEnd: (why: string) => void;
}

/**
 * A WebSocket client that does next to nothing a frame: thousands of them share two cores with the servers that are measured, and
 * a full client would cost more than what sends to it. Takes what servers send unmasked and unfragmented.
 */
export class LeanSocket {
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  private isUpgraded = false;
  private isClosed = false;
  private opened: () => void = () => undefined;

  constructor(private readonly options: LeanSocketOptions) {
    const { hostname, port, host, pathname, search } = new URL(options.url);
    this.socket = connect(Number(port), hostname, () => {
      const head = {
        Host: host,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        ...options.headers,
      };
      const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
      this.socket.write([`GET ${pathname}${search} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
    });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.on('error', (error) => this.end(error.message));
    this.socket.on('close', () => this.end('the server closed the connection'));
  }

  /** Resolves with the upgrade. */
  open(): Promise<void> {
    return new Promise((resolve) => (this.opened = resolve));
  }

  send(text: string): void {
    this.write(TEXT, Buffer.from(text));
  }

  close(): void {
    this.isClosed = true;
    this.socket.destroy();
  }

  private end(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.options.onEnd(why);
  }

  private write(opcode: number, data: Buffer): void {
    const long = data.length > 125;
    const head = long ? Buffer.from([0x80 | opcode, 0xfe, data.length >> 8, data.length & 0xff]) : undefined;
    this.socket.write(Buffer.concat([head ?? Buffer.from([0x80 | opcode, 0x80 | data.length]), NO_MASK, data]));
  }

  private take(chunk: Buffer): void {
    let data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    if (!this.isUpgraded) {
      const end = data.indexOf('\r\n\r\n');
      if (end === -1) return void (this.rest = data);
      const head = data.toString('latin1', 0, end);
      if (!head.startsWith('HTTP/1.1 101')) return this.end(head.split('\r\n')[0] ?? head);
      this.isUpgraded = true;
      data = data.subarray(end + 4);
      this.opened();
    }
    this.rest = this.readFrames(data);
  }

  /** @returns what is left of a frame that is not whole yet */
  private readFrames(data: Buffer): Buffer {
    let at = 0;
    while (data.length - at >= 2) {
      const short = (data[at + 1] as number) & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (data.length - at < head) break;
      const length =
        short === 126 ? data.readUInt16BE(at + 2) : short === 127 ? Number(data.readBigUInt64BE(at + 2)) : short;
      if (data.length - at < head + length) break;
      this.frame((data[at] as number) & 0x0f, data.subarray(at + head, at + head + length));
      at += head + length;
    }
    return at === data.length ? Buffer.alloc(0) : data.subarray(at);
  }

  private frame(opcode: number, data: Buffer): void {
    if (opcode === TEXT) this.options.onText(data);
    else if (opcode === PING) this.write(PONG, data);
    else if (opcode === CLOSE) this.end(`closed with ${data.length >= 2 ? data.readUInt16BE(0) : 'no code'}`);
  }
}
