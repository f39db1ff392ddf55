import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createAdapter } from '@socket.io/redis-adapter';
import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

// Its Redis adapter in each process, its Redis emitter for what comes from outside, and no transport but WebSocket.

export const name = 'socket.io';

export async function openSockets({ database, processes }) {
  const { hostname, port, hash } = new URL(database.address);
  const key = hash.slice(1);
  const script = fileURLToPath(import.meta.url);
  const children = Array.from({ length: processes }, () => fork(script, [hostname, port || '6379', key]));
  const ports = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));
  const client = new Redis({ host: hostname, port: Number(port || 6379) });
  const emitter = new Emitter(client, { key });
  return {
    urls: ports.map((each) => `ws://127.0.0.1:${each}/socket.io/?EIO=4&transport=websocket`),
    pids: children.map(({ pid }) => pid),
    greeting: 'socket.io',
    async publish(event) {
      emitter.emit('event', event);
    },
    async close() {
      await client.quit();
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

async function serve([host, port, key]) {
  const [publisher, subscriber] = [0, 1].map(() => new Redis({ host, port: Number(port) }));
  const http = createServer();
  new Server(http, { transports: ['websocket'], adapter: createAdapter(publisher, subscriber, { key }) });
  http.listen(0, '127.0.0.1');
  await Promise.all([once(http, 'listening'), once(publisher, 'ready'), once(subscriber, 'ready')]);
  process.send(http.address().port);
  process.once('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv.slice(2));
