import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { DrainSequence } from './drain';

/** Headers must be in by then: a client that trickles them holds a connection for nothing. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle timeout of the usual proxies (60 s), so that it is never us who closes under a new request. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

/**
 * Makes an HTTP server part of the drain. While draining every answer carries `Connection: close`, which moves
 * keep-alive clients to another instance before the socket goes. In `closeSockets` the server stops listening, lets
 * requests end, and when the phase is over destroys what is left: also upgraded sockets, which Node does not count as
 * HTTP connections any more and which would keep Nest waiting for ever.
 */
export function drainHttpServer(server: Server, drain: DrainSequence): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    if (drain.draining) response.setHeader('Connection', 'close');
  });
  drain.register('closeSockets', 'http server', (signal) => {
    if (!server.listening) return undefined;
    signal.addEventListener('abort', () => sockets.forEach((socket) => socket.destroy()), { once: true });
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
}
