import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import {
  deviceIdOf,
  encodeBase64Url,
  formatHttpProof,
  httpProofText,
  signConnectProof,
  type HttpProofFacts,
  type PeerRole,
} from '@tyrum/protocol';
import { WebSocket, type ClientOptions } from 'ws';
import { watchOf } from './contract-watch';
import type { Frame, SeenResult } from './frames';

/** A device's key and the id that follows from it. */
export class TestDevice {
  readonly privateKey: KeyObject;
  readonly pubkey: string;
  readonly deviceId: string;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const der = publicKey.export({ type: 'spki', format: 'der' });
    this.privateKey = privateKey;
    this.pubkey = encodeBase64Url(der);
    this.deviceId = deviceIdOf(der);
  }

  initPayload(overrides: Record<string, unknown> = {}): Record<string, unknown> {
    const device = { device_id: this.deviceId, pubkey: this.pubkey };
    return { protocol_rev: 2, role: 'client', device, capabilities: [], ...overrides };
  }

  proof({ connection_id, challenge }: { connection_id: string; challenge: string }, role: PeerRole = 'client'): string {
    const facts = { protocolRev: 2, role, deviceId: this.deviceId, connectionId: connection_id, challenge };
    return signConnectProof(this.privateKey, facts);
  }
}

/** The header with which a device proves itself for one HTTP request. */
export function signHttpProofAs({ privateKey, pubkey }: TestDevice, facts: HttpProofFacts): string {
  const signature = encodeBase64Url(sign(null, Buffer.from(httpProofText(facts)), privateKey));
  const { issuedAtMs, nonce } = facts;
  return formatHttpProof({ pubkey, issuedAtMs, nonce, signature });
}

export interface TestClientOptions {
  readonly device?: TestDevice;
  readonly role?: PeerRole;
  readonly capabilities?: readonly { readonly id: string; readonly version: string }[];
  readonly resumeCursor?: string;
  /** False: never answers a ping. */
  readonly autoPong?: boolean;
}

/** A raw socket that authenticates with the header. Frames and the close are kept from the first on. */
export function openSocket(
  url: string,
  token: string | undefined,
  options: ClientOptions & { protocols?: string[] } = {},
): TestClient {
  const { protocols = ['tyrum-v1'], headers, ...rest } = options;
  const auth: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new TestClient(new WebSocket(url, protocols, { ...rest, headers: { ...auth, ...headers } }));
}

/** A real `ws` client that keeps what it hears. */
export class TestClient {
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  clientId = '';
  /** The result of `connect.proof`. */
  hello!: SeenResult;
  private readonly asked = new Map<string, number>();
  private readonly waiting = new Set<() => void>();

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)) as Frame);
      watchOf(socket.url)?.frame(String(data));
      for (const look of [...this.waiting]) look();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  /** Connects and goes through the handshake. */
  static async connect(url: string, token: string, options: TestClientOptions = {}): Promise<TestClient> {
    const { device = new TestDevice(), role = 'client', capabilities = [], resumeCursor, autoPong = true } = options;
    const client = openSocket(url, token, { autoPong });
    await client.opened();
    const resume = resumeCursor === undefined ? {} : { resume: { cursor: resumeCursor } };
    const { result } = await client.request('connect.init', device.initPayload({ role, capabilities, ...resume }));
    const proof = device.proof(result, role);
    const established = await client.request('connect.proof', { connection_id: result.connection_id, proof });
    client.hello = established.result;
    client.clientId = established.result.client_id;
    return client;
  }

  async opened(): Promise<void> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
  }

  /** The HTTP status of a refused upgrade. */
  async refused(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.socket.once('unexpected-response', (request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.once('close', () => {
          watchOf(this.socket.url)?.problem(body);
          resolve(response.statusCode ?? 0);
        });
        response.once('end', () => request.destroy());
      });
      this.socket.once('open', () => reject(new Error('the upgrade was not refused')));
    });
  }

  /** Sends a request and resolves with its answer. Rejects when the socket closes first. */
  async request(type: string, payload: object = {}, request_id: string = randomUUID()): Promise<Frame> {
    this.send({ request_id, type, payload });
    // Copies of a request share their id, so each takes an answer that no earlier one has taken.
    const place = this.asked.get(request_id) ?? 0;
    this.asked.set(request_id, place + 1);
    const answers = (): Frame[] =>
      this.frames.filter((frame) => frame.request_id === request_id && frame.ok !== undefined);
    return this.frame((frame) => answers()[place] === frame);
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** The first event of that type that matches, from the beginning on. */
  event(type: string, matches: (frame: Frame) => boolean = () => true): Promise<Frame> {
    return this.frame((frame) => frame.event_id !== undefined && frame.type === type && matches(frame));
  }

  events(): Frame[] {
    return this.frames.filter(({ event_id }) => event_id !== undefined);
  }

  /** How many refusals it has been told of so far: an event is a second of them, and a burst may lie in two. */
  refusals(about: Readonly<Record<string, string | undefined>>): number {
    const isOne = ({ type, payload }: Frame) =>
      type === 'authz.denied' && Object.entries(about).every(([name, value]) => payload[name as 'reason'] === value);
    return this.events()
      .filter(isOne)
      .reduce((sum, { payload }) => sum + (payload.count ?? 0), 0);
  }

  /** The first frame that matches, waiting for it. Jest's timeout is the deadline. */
  frame(matches: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.frames.find(matches);
        if (!found) return;
        this.waiting.delete(look);
        resolve(found);
      };
      this.waiting.add(look);
      void this.closed.then(({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`)));
      look();
    });
  }

  /** The gateway's requests of that type so far. */
  asks(type: string): Frame[] {
    return this.frames.filter((frame) => frame.type === type && frame.ok === undefined && frame.event_id === undefined);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}
