import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const PROBE_TIMEOUT_MS = 2_000;
/** Looks in a row that have to fail before a target gets nothing new, as balancers have it: one late answer is no outage. */
const FALL = 2;

interface Target {
  /** Looks in a row that have failed; it begins as one that has not been ready yet. */
  failed: number;
  looking: boolean;
}

/**
 * A TCP balancer as a cluster has one: new connections go round the targets whose `/readyz` answers 200, and connections
 * there are stay where they are. It hides nothing: a target that refuses costs the client its connection.
 */
export class Balancer {
  /** New connections that had to be cut, because no target was ready or the one chosen refused. */
  refused = 0;
  private readonly targets = new Map<number, Target>();
  private readonly sockets = new Set<Socket>();
  private readonly probing: NodeJS.Timeout;
  private turn = 0;

  private constructor(
    private readonly server: Server,
    probeMs: number,
  ) {
    server.on('connection', (near) => this.accept(near));
    this.probing = setInterval(() => void this.probe(), probeMs);
  }

  /** @param probeMs how often it looks at `/readyz` */
  static async start(probeMs: number): Promise<Balancer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Balancer(server, probeMs);
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
    this.targets.set(port, { failed: FALL, looking: false });
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
        target.failed = (await isReadyAt(port)) ? 0 : target.failed + 1;
        target.looking = false;
      }),
    );
  }

  private accept(near: Socket): void {
    const ready = this.ready;
    const port = ready[this.turn++ % Math.max(ready.length, 1)];
    if (port === undefined) {
      this.refused += 1;
      return void near.resetAndDestroy();
    }
    const far = connect(port, '127.0.0.1');
    far.once('error', () => (far.connecting || far.bytesRead > 0 ? undefined : (this.refused += 1)));
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

async function isReadyAt(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}
