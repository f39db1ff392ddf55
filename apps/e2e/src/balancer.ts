import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const PROBE_MS = 250;
const PROBE_TIMEOUT_MS = 2_000;
/** Looks in a row that have to fail before a target gets nothing new, as balancers have it: a late answer is no outage. */
const FALL = 4;
/** What a target says of itself that is about to go. It is believed at once. */
const GOING = /"name":"draining"/;

interface Target {
  /** Looks in a row that have failed; it begins as one that has not been ready yet. */
  failed: number;
  looking: boolean;
  /** What the last failed look found. */
  trouble: string;
}

/**
 * A TCP balancer as a cluster has one: new connections go round the targets whose `/readyz` answers 200, and connections
 * there are stay where they are. It hides nothing: a target that refuses costs the client its connection.
 */
export class Balancer {
  /** Why new connections had to be cut, one entry each: no target was ready, or the one chosen refused. */
  readonly refusals: string[] = [];
  private readonly targets = new Map<number, Target>();
  private readonly sockets = new Set<Socket>();
  private readonly probing: NodeJS.Timeout;
  private turn = 0;

  private constructor(private readonly server: Server) {
    server.on('connection', (near) => this.accept(near));
    this.probing = setInterval(() => void this.probe(), PROBE_MS);
  }

  static async start(): Promise<Balancer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Balancer(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Ports that get new connections. */
  get ready(): number[] {
    return [...this.targets].flatMap(([port, { failed }]) => (failed < FALL ? [port] : []));
  }

  /** Knows a target from now on; it gets connections once it is ready. */
  async add(port: number): Promise<void> {
    this.targets.set(port, { failed: FALL, looking: false, trouble: 'new' });
    await this.probe();
  }

  remove(port: number): void {
    this.targets.delete(port);
  }

  async stop(): Promise<void> {
    clearInterval(this.probing);
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private async probe(): Promise<void> {
    await Promise.all(
      [...this.targets].map(async ([port, target]) => {
        if (target.looking) return;
        target.looking = true;
        const trouble = await troubleAt(port);
        target.failed = trouble === undefined ? 0 : GOING.test(trouble) ? FALL : target.failed + 1;
        target.trouble = trouble ?? '';
        target.looking = false;
      }),
    );
  }

  private accept(near: Socket): void {
    const ready = this.ready;
    const port = ready[this.turn++ % Math.max(ready.length, 1)];
    if (port === undefined) {
      this.refusals.push(`none is ready: ${[...this.targets.values()].map(({ trouble }) => trouble).join(', ')}`);
      return void near.resetAndDestroy();
    }
    const far = connect(port, '127.0.0.1');
    let isConnected = false;
    far.once('connect', () => (isConnected = true));
    far.once('error', (error) => (isConnected ? undefined : this.refusals.push(`${port}: ${error.message}`)));
    join(near, far);
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    }
  }
}

/** Carries bytes both ways, and an end or a reset as what it was. */
function join(near: Socket, far: Socket): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.setNoDelay(true);
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => to.destroySoon());
  }
}

async function troubleAt(port: number): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    const text = await answer.text();
    return answer.status === 200 ? undefined : text;
  } catch (error) {
    return String((error as Error).cause ?? error);
  }
}
