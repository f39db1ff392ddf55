import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';

// The least there is: each process listens on one Redis channel and sends what comes, as one buffer, to every socket it has.

export const name = 'ws';

export async function openSockets({ database, processes }) {
  const { hostname, port, hash } = new URL(database.address);
  const channel = hash.slice(1);
  const script = fileURLToPath(import.meta.url);
  const children = Array.from({ length: processes }, () => fork(script, [hostname, port || '6379', channel]));
  const ports = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));
  const publisher = new Redis({ host: hostname, port: Number(port || 6379) });
  return {
    urls: ports.map((each) => `ws://127.0.0.1:${each}/`),
    pids: children.map(({ pid }) => pid),
    greeting: 'none',
    async publish(event) {
      await publisher.publish(channel, JSON.stringify(event));
    },
    async close() {
      await publisher.quit();
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

async function serve([host, port, channel]) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  const subscriber = new Redis({ host, port: Number(port) });
  subscriber.on('messageBuffer', (_, event) => {
    for (const socket of server.clients) socket.send(event, { binary: false });
  });
  await Promise.all([once(server, 'listening'), subscriber.subscribe(channel)]);
  process.send(server.address().port);
  process.once('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv.slice(2));
