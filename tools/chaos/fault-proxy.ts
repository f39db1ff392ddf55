import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * What happens to bytes on the link.
 * `stall` holds them back and delivers them later, `black_hole` loses them, `half_open` loses the far side without telling the
 * near one, `refuse` ends new connections at once.
 */
export type LinkFault =
  | { readonly kind: 'pass' | 'stall' | 'black_hole' | 'half_open' | 'refuse' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number };

export type Direction = 'up' | 'down';

export interface FaultProxyOptions {
  /** The port behind it; asked at each connection, since what listens there may have moved. */
  readonly target: () => number;
  /** Looks at each chunk before it is forwarded. `cut` ends the connection instead, `cut_after` once the chunk is through. */
  readonly inspect?: (data: Buffer, direction: Direction) => 'forward' | 'cut' | 'cut_after';
}

const SLICE_MS = 50;

/** A TCP relay on a port of its own whose link can be made as bad as wanted. */
export class FaultProxy {
  private readonly pairs = new Set<Pair>();
  private state: LinkFault = { kind: 'pass' };

  private constructor(
    private readonly server: Server,
    private readonly options: FaultProxyOptions,
  ) {
    server.on('connection', (near) => this.accept(near));
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, options);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get fault(): LinkFault {
    return this.state;
  }

  /**
   * Makes the link behave so from now on. What was lost stays lost: connections that lost bytes or their far side are reset
   * when the link is whole again, as a peer that knows nothing of them would.
   */
  set(fault: LinkFault): void {
    const lossy = this.state.kind === 'black_hole' || this.state.kind === 'half_open';
    this.state = fault;
    if (lossy) this.cut();
    if (fault.kind === 'half_open') for (const pair of this.pairs) pair.loseFarSide();
    for (const pair of this.pairs) pair.pump();
  }

  /** Resets every connection there is. */
  cut(): number {
    const { size } = this.pairs;
    for (const pair of this.pairs) pair.reset();
    return size;
  }

  async stop(): Promise<void> {
    this.cut();
    this.server.close();
    if (this.server.listening) await once(this.server, 'close');
  }

  private accept(near: Socket): void {
    if (this.state.kind === 'refuse') return void near.resetAndDestroy();
    const far = connect(this.options.target(), '127.0.0.1');
    const pair = new Pair(near, far, () => this.state, this.options.inspect);
    this.pairs.add(pair);
    pair.onEnd = () => this.pairs.delete(pair);
    if (this.state.kind === 'half_open') pair.loseFarSide();
  }
}

interface Chunk {
  readonly data: Buffer;
  readonly receivedAt: number;
}

/** One connection through the proxy: two sockets and what is on its way between them. */
class Pair {
  onEnd: () => void = () => {};
  private readonly queues: Record<Direction, Chunk[]> = { up: [], down: [] };
  private readonly finished = new Set<Direction>();
  /** When the link is free for the next slice, where it is throttled. */
  private readonly freeAt: Record<Direction, number> = { up: 0, down: 0 };
  private timer: NodeJS.Timeout | undefined;
  private farLost = false;
  private ended = false;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket,
    private readonly fault: () => LinkFault,
    private readonly inspect: FaultProxyOptions['inspect'],
  ) {
    for (const socket of [near, far]) socket.setNoDelay(true);
    near.on('data', (data) => this.received('up', data));
    far.on('data', (data) => this.received('down', data));
    near.on('end', () => this.ending('up'));
    far.on('end', () => this.ending('down'));
    near.on('error', () => this.reset());
    far.on('error', () => (this.farLost ? undefined : this.reset()));
    near.on('close', () => this.reset());
  }

  reset(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.timer);
    this.near.resetAndDestroy();
    this.far.resetAndDestroy();
    this.onEnd();
  }

  loseFarSide(): void {
    this.farLost = true;
    this.far.resetAndDestroy();
  }

  /** Forwards what may go now, and comes back for the rest. */
  pump(): void {
    clearTimeout(this.timer);
    if (this.ended) return;
    const left = [this.forward('up'), this.forward('down')].some((more) => more);
    if (left && !this.ended && this.fault().kind !== 'stall') this.timer = setTimeout(() => this.pump(), SLICE_MS / 2);
  }

  private received(direction: Direction, data: Buffer): void {
    const { kind } = this.fault();
    if (kind === 'black_hole' || this.farLost) return;
    this.queues[direction].push({ data, receivedAt: performance.now() });
    this.pump();
  }

  private ending(direction: Direction): void {
    if (this.farLost || this.fault().kind === 'black_hole') return;
    this.finished.add(direction);
    this.pump();
  }

  /** Returns whether something is left to forward later. */
  private forward(direction: Direction): boolean {
    const queue = this.queues[direction];
    const fault = this.fault();
    if (fault.kind === 'stall') return queue.length > 0 || this.finished.has(direction);
    while (queue.length > 0) {
      const chunk = queue[0] as Chunk;
      const now = performance.now();
      if (fault.kind === 'delay' && now - chunk.receivedAt < fault.ms) return true;
      let part = chunk.data;
      if (fault.kind === 'throttle') {
        if (now < this.freeAt[direction]) return true;
        part = part.subarray(0, Math.ceil((fault.bytesPerSecond * SLICE_MS) / 1_000));
        this.freeAt[direction] = now + (part.length / fault.bytesPerSecond) * 1_000;
      }
      queue.shift();
      if (part.length < chunk.data.length) queue.unshift({ ...chunk, data: chunk.data.subarray(part.length) });
      if (!this.pass(part, direction)) return false;
    }
    if (this.finished.delete(direction)) (direction === 'up' ? this.far : this.near).end();
    return false;
  }

  private pass(data: Buffer, direction: Direction): boolean {
    const verdict = this.inspect?.(data, direction) ?? 'forward';
    if (verdict === 'cut') {
      this.reset();
      return false;
    }
    const to = direction === 'up' ? this.far : this.near;
    if (verdict === 'forward') {
      to.write(data);
      return true;
    }
    // The chunk is to arrive, and its answer is not: the far side gets an orderly end behind it.
    this.farLost = true;
    to.end(data, () => setTimeout(() => this.reset(), SLICE_MS));
    return false;
  }
}
