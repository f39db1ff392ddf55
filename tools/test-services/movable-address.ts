import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** An address that stays while the server behind it changes: what a virtual IP, a proxy or a DNS name is to a cluster. */
export interface MovableAddress {
  readonly port: number;
  /** The same server's URL through it. */
  through(url: string): string;
  /** New connections go there. */
  pointTo(port: number): void;
  /** Ends the connections that exist. */
  cut(): void;
  close(): Promise<void>;
}

export async function startMovableAddress(initial: number): Promise<MovableAddress> {
  let target = initial;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('data', (data) => void to.write(data));
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    through: (url) => {
      const moved = new URL(url);
      moved.port = String(port);
      return moved.toString();
    },
    pointTo: (next) => void (target = next),
    cut,
    close: async () => {
      server.close();
      cut();
      await once(server, 'close');
    },
  };
}
