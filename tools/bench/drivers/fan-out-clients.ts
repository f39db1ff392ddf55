import { createDeviceIdentity, type DeviceIdentity } from '@tyrum/client';
import { connectProofText, encodeBase64Url, PROTOCOL_REV, SUBPROTOCOL } from '@tyrum/protocol';
import type { Greeting } from '../contender';
import type { Driver } from './driver';
import { LeanSocket } from './lean-socket';

/** What `fanOut` asks its clients to wait for. */
export interface Expectation {
  readonly events: number;
}

/** What they have to say when all of it has come: delivery latencies in ms, and when the last one came (`hrtime`, in ns). */
export interface Received {
  readonly latencies: readonly number[];
  readonly lastAt: string;
}

const CONNECTING = 50;
const DEVICE_CONNECTIONS = 8;
/** Before the time of sending, in an event's JSON. */
const MARK = Buffer.from('"at":"');

/** Some thousand sockets that count what they are sent, in a process of their own. */
export const fanOutClients: Driver = async ({ number, text }) => {
  const urls = text('urls').split(',');
  const arrivals = new Arrivals();
  const connect = greeters[text('greeting') as Greeting];
  const sockets: LeanSocket[] = [];
  const identities: DeviceIdentity[] = [];
  for (let i = 0; i < number('sockets'); i += 1) {
    if (i % DEVICE_CONNECTIONS === 0) identities.push(await createDeviceIdentity());
  }
  for (let i = 0; i < number('sockets'); i += CONNECTING) {
    const some = Array.from({ length: Math.min(CONNECTING, number('sockets') - i) }, (_, j) =>
      connect({
        url: urls[(i + j) % urls.length] as string,
        token: text('token'),
        identity: identities[Math.floor((i + j) / DEVICE_CONNECTIONS)] as DeviceIdentity,
        onEvent: (event) => arrivals.take(event),
      }),
    );
    sockets.push(...(await Promise.all(some)));
  }
  const stopped = new Promise<void>((resolve) => {
    process.on('message', (message: Expectation | { stop: true }) => {
      if ('stop' in message) return resolve();
      void arrivals
        .expect(message.events * sockets.length)
        .then((received) => process.send?.(received satisfies Received));
    });
  });
  process.send?.({ ready: true });
  await stopped;
  for (const socket of sockets) socket.close();
  return {};
};

/** Counts events until as many have come as are expected. */
class Arrivals {
  private missing = 0;
  private latencies: number[] = [];
  private complete: (received: Received) => void = () => undefined;

  take(event: Buffer): void {
    const mark = event.indexOf(MARK);
    if (mark === -1 || this.missing === 0) return;
    const begin = mark + MARK.length;
    const sentAt = Number(event.toString('latin1', begin, event.indexOf(0x22, begin)));
    const now = process.hrtime();
    // Nanoseconds since the host started fit a double for a hundred days.
    const at = now[0] * 1e9 + now[1];
    this.latencies.push((at - sentAt) / 1e6);
    this.missing -= 1;
    if (this.missing === 0) this.complete({ latencies: this.latencies, lastAt: String(at) });
  }

  expect(count: number): Promise<Received> {
    this.missing = count;
    this.latencies = [];
    return new Promise((resolve) => (this.complete = resolve));
  }
}

interface Visit {
  readonly url: string;
  readonly token: string;
  readonly identity: DeviceIdentity;
  readonly onEvent: (event: Buffer) => void;
}

/** How a client of each kind gets to where it is sent events. */
const greeters: Readonly<Record<Greeting, (visit: Visit) => Promise<LeanSocket>>> = {
  none: async (visit) => {
    const socket = new LeanSocket({ url: visit.url, headers: {}, onText: visit.onEvent, onEnd: fail });
    await socket.open();
    return socket;
  },
  // Engine.IO packets: 0 open, 2 ping, 3 pong, 4 message; of those 40 joins and is its answer, and 42 is an event.
  'socket.io': (visit) =>
    new Promise((resolve) => {
      const onText = (packet: Buffer): void => {
        const kind = packet.toString('latin1', 0, 2);
        if (kind === '42') visit.onEvent(packet);
        else if (kind === '40') resolve(socket);
        else if (kind.startsWith('0')) socket.send('40');
        else if (kind === '2') socket.send('3');
      };
      const socket = new LeanSocket({ url: visit.url, headers: {}, onText, onEnd: fail });
    }),
  tyrum: ({ url, token, identity, onEvent }) =>
    new Promise((resolve) => {
      const headers = { Authorization: `Bearer ${token}`, 'Sec-WebSocket-Protocol': SUBPROTOCOL };
      let step = 0;
      const onText = (frame: Buffer): void => {
        step += 1;
        if (step === 1) void prove(JSON.parse(frame.toString()) as { result: InitResult });
        else if (step === 2) resolve(socket);
        else onEvent(frame);
      };
      const ask = (type: string, payload: object) => socket.send(JSON.stringify({ request_id: type, type, payload }));
      const prove = async ({ result: { connection_id, challenge } }: { result: InitResult }): Promise<void> => {
        const { deviceId } = identity;
        const facts = {
          protocolRev: PROTOCOL_REV,
          role: 'client',
          deviceId,
          connectionId: connection_id,
          challenge,
        } as const;
        const proof = encodeBase64Url(await identity.sign(connectProofText(facts)));
        ask('connect.proof', { connection_id, proof });
      };
      const socket = new LeanSocket({ url, headers, onText, onEnd: fail });
      void socket.open().then(() =>
        ask('connect.init', {
          protocol_rev: PROTOCOL_REV,
          role: 'client',
          device: { device_id: identity.deviceId, pubkey: identity.pubkey },
          capabilities: [],
          // As the client library does, so that events come with their cursors.
          resume: { cursor: 'head' },
        }),
      );
    }),
};

interface InitResult {
  readonly connection_id: string;
  readonly challenge: string;
}

/** A socket that is lost would never get what is waited for. */
function fail(why: string): void {
  throw new Error(`a socket was lost: ${why}`);
}
