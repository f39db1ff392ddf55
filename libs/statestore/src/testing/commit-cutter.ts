import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What a client's COMMIT meets on its way. */
export type Fate =
  /** It passes. */
  | 'pass'
  /** The connection goes before the server has seen it. */
  | 'cut-before'
  /** The server has carried it out and the connection goes before its answer has arrived. */
  | 'cut-after'
  /** It passes, and nothing comes back on this connection any more: the server or the way to it has gone without a word. */
  | 'silence';

/** A TCP proxy in front of Postgres that knows a COMMIT when it sees one. */
export interface CommitCutter {
  /** The database's address through it. */
  readonly url: string;
  /** Of the next COMMIT; those after it pass. */
  fate: Fate;
  close(): Promise<void>;
}

/** `Q`, the message's length, the text, a zero byte: a simple query. */
const COMMIT = Buffer.concat([Buffer.from('Q'), Buffer.from([0, 0, 0, 11]), Buffer.from('commit\0')]);

/** Starts one in front of the database at `url`. */
export async function startCommitCutter(url: string): Promise<CommitCutter> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let swallow = false;
    let silent = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      const fate = data.includes(COMMIT) ? cutter.fate : 'pass';
      if (data.includes(COMMIT)) cutter.fate = 'pass';
      if (fate === 'cut-before') return void client.destroy();
      swallow = fate === 'cut-after';
      silent ||= fate === 'silence';
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (swallow) client.destroy();
      else if (!silent) client.write(data);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  const cutter: CommitCutter = {
    url: through.toString(),
    fate: 'pass',
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return cutter;
}
