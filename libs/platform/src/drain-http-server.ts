import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { DrainSequence } from './drain';

/** How long a request may take to arrive whose first bytes are there when the server closes. */
const ARRIVAL_MS = 1_000;

/**
 * Makes an HTTP server part of the drain. While draining every answer carries `Connection: close`, which moves
 * keep-alive clients to another instance before the socket goes. In `closeSockets` the server stops listening and lets
 * requests end; a connection on which nothing is asked, which Node would wait for, is closed. When the phase is over what is
 * left is destroyed: also upgraded sockets, which Node does not count as HTTP connections any more and which would keep Nest
 * waiting for ever.
 */
export function drainHttpServer(server: Server, drain: DrainSequence): void {
  const sockets = new Set<Socket>();
  /** Those somebody else answers for: a request is under way, or they are no HTTP any more. */
  const inUse = new Set<Socket>();
  let closing = false;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      inUse.delete(socket);
    });
  });
  server.on('upgrade', ({ socket }: IncomingMessage) => inUse.add(socket));
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (drain.draining) response.setHeader('Connection', 'close');
    inUse.add(socket);
    response.once('close', () => {
      inUse.delete(socket);
      // It was begun before the drain and said nothing of closing.
      if (closing) socket.destroySoon();
    });
  });
  drain.register('closeSockets', 'http server', async (signal) => {
    if (!server.listening) return;
    closing = true;
    const destroyUnused = () =>
      [...sockets].filter((socket) => !inUse.has(socket)).forEach((socket) => socket.destroy());
    const arrival = setTimeout(destroyUnused, ARRIVAL_MS);
    signal.addEventListener('abort', () => sockets.forEach((socket) => socket.destroy()), { once: true });
    await new Promise<void>((resolve) => server.close(() => resolve()));
    clearTimeout(arrival);
  });
}
