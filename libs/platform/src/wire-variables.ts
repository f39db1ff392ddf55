import { integer } from './parsers';
import { variable, type Variable } from './variable';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Bounds {
  readonly from: number;
  readonly to: number;
  readonly otherwise: number;
}

function limit(name: string, description: string, { from, to, otherwise }: Bounds): Variable<number> {
  return variable({
    name,
    description,
    expected: `an integer from ${from} to ${to}`,
    apps: ['edge'],
    parse: integer(from, to),
    fallback: () => otherwise,
  });
}

/**
 * What one peer may send to an edge and have waiting there. The defaults are those of the protocol (`LIMITS`), which this
 * library does not know; a test of the gateway holds the two together.
 */
export const WIRE_VARIABLES = {
  frameMaxBytes: limit('TYRUM_FRAME_MAX_BYTES', 'The largest frame of a WebSocket, in bytes; a larger one closes it.', {
    from: 4 * KIB,
    to: 16 * MIB,
    otherwise: 1 * MIB,
  }),
  bodyMaxBytes: limit('TYRUM_BODY_MAX_BYTES', 'The largest JSON body of an HTTP request, in bytes.', {
    from: 4 * KIB,
    to: 16 * MIB,
    otherwise: 1 * MIB,
  }),
  jsonMaxDepth: limit('TYRUM_JSON_MAX_DEPTH', 'How deep JSON may nest, in frames and in bodies.', {
    from: 8,
    to: 256,
    otherwise: 64,
  }),
  messagesBeforeHandshake: limit(
    'TYRUM_MESSAGES_BEFORE_HANDSHAKE',
    'Messages a WebSocket may send before its handshake is done, which needs two.',
    { from: 2, to: 100, otherwise: 4 },
  ),
  requestsInFlight: limit(
    'TYRUM_REQUESTS_IN_FLIGHT',
    'Requests one WebSocket may have under way. Times TYRUM_FRAME_MAX_BYTES it may be 256 MiB at the most.',
    { from: 1, to: 1_024, otherwise: 64 },
  ),
  sendBufferBytes: limit(
    'TYRUM_SEND_BUFFER_BYTES',
    'What a peer may leave unread before it is closed as too slow, in bytes.',
    { from: 64 * KIB, to: 256 * MIB, otherwise: 4 * MIB },
  ),
  pingIntervalMs: limit('TYRUM_PING_INTERVAL_MS', 'How often it is asked whether peers are there, in ms.', {
    from: 500,
    to: 600_000,
    otherwise: 15_000,
  }),
  missedPings: limit('TYRUM_MISSED_PINGS', 'Pings in a row that a WebSocket may leave unanswered before it is cut.', {
    from: 1,
    to: 100,
    otherwise: 2,
  }),
  connectionsPerDevice: limit(
    'TYRUM_CONNECTIONS_PER_DEVICE',
    'WebSockets of one device, and event streams of one token. The same at every edge.',
    { from: 1, to: 1_000, otherwise: 8 },
  ),
  handshakeMs: limit('TYRUM_HANDSHAKE_MS', 'How long a handshake may take in all, in ms.', {
    from: 100,
    to: 60_000,
    otherwise: 10_000,
  }),
};

/** What the requests of one connection may take of memory, at the most. */
const IN_FLIGHT_MAX_BYTES = 256 * MIB;

/** Two limits that are harmless alone let one peer fill a process together. Returns what is wrong. */
export function tooMuchInFlight(frameMaxBytes: number, requestsInFlight: number): string | undefined {
  if (frameMaxBytes * requestsInFlight <= IN_FLIGHT_MAX_BYTES) return undefined;
  const { frameMaxBytes: frame } = WIRE_VARIABLES;
  return `times ${frame.name} must be at most ${IN_FLIGHT_MAX_BYTES} bytes`;
}
