import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  AUTH_SUBPROTOCOL_PREFIX,
  CloseCode,
  decodeBase64Url,
  encodeBase64Url,
  errorResponse,
  okResponse,
  PROTOCOL_REV,
  SUBPROTOCOL,
  verifyConnectProof,
  WireError,
  type ConnectInitPayload,
  type ReceivedEvent,
  type RequestEnvelope,
} from '@tyrum/protocol';
import { WebSocket, WebSocketServer } from 'ws';

/** One established connection, as the gateway sees it. */
export interface FixtureConnection {
  readonly init: ConnectInitPayload;
  /** Requests after the handshake, in order. */
  readonly received: RequestEnvelope[];
  /** Its side's answers to what we asked. */
  readonly answers: unknown[];
  send(frame: object): void;
  close(code: number, reason?: string): void;
  /** Cuts the connection without a closing frame. */
  cut(): void;
}

export interface FixtureOptions {
  readonly token: string;
  /** The answer to a request; a thrown `WireError` is an error answer, `SILENCE` is none. */
  answer(request: RequestEnvelope, connection: FixtureConnection): unknown;
  /** What `connect.proof` is answered beyond the contract: `{cursor}`. */
  welcome?(init: ConnectInitPayload): object;
}

/** The request is never answered. */
export const SILENCE = Symbol('silence');

/**
 * A gateway of a few lines: the real handshake on a real socket, and after it whatever the test says. For what a real edge
 * cannot be made to do at will: silence, closes with a given code, the same event twice.
 */
export class GatewayFixture {
  readonly connections: FixtureConnection[] = [];
  /** Upgrades that were asked for, refused ones included. */
  upgrades = 0;

  private constructor(
    private readonly server: WebSocketServer,
    private readonly options: FixtureOptions,
  ) {
    server.on('connection', (socket) => void this.serve(socket));
  }

  /** @param port 0 for any */
  static async start(options: FixtureOptions, port = 0): Promise<GatewayFixture> {
    const server = new WebSocketServer({
      port,
      host: '127.0.0.1',
      path: '/ws',
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
      verifyClient: ({ req }, done) => {
        fixture.upgrades += 1;
        done(tokenOf(req) === options.token, 401);
      },
    });
    const fixture: GatewayFixture = new GatewayFixture(server, options);
    await once(server, 'listening');
    return fixture;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  /** Cuts every connection and stops listening. */
  async stop(): Promise<void> {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
    await once(this.server, 'close');
  }

  private async serve(socket: WebSocket): Promise<void> {
    const connectionId = randomUUID();
    const challenge = encodeBase64Url(randomBytes(32));
    const reply = (request: RequestEnvelope, result: object): void =>
      socket.send(JSON.stringify(okResponse(request, result)));
    const first = await nextRequest(socket);
    const init = first.payload as unknown as ConnectInitPayload;
    reply(first, { connection_id: connectionId, challenge });
    const second = await nextRequest(socket);
    const { device_id: deviceId, pubkey } = init.device;
    const facts = { protocolRev: PROTOCOL_REV, role: init.role, deviceId, connectionId, challenge };
    if (!verifyConnectProof(pubkey, String(second.payload['proof']), facts))
      return socket.close(CloseCode.InvalidProof);
    const connection = connectionOn(socket, init);
    socket.on('message', (data: Buffer) => this.receive(connection, JSON.parse(data.toString()) as RequestEnvelope));
    this.connections.push(connection);
    reply(second, { client_id: connectionId, device_id: deviceId, role: init.role, ...this.options.welcome?.(init) });
  }

  private receive(connection: FixtureConnection, frame: RequestEnvelope): void {
    if ('ok' in frame) return void connection.answers.push(frame);
    connection.received.push(frame);
    try {
      const result = this.options.answer(frame, connection);
      if (result !== SILENCE) connection.send(okResponse(frame, result));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      connection.send(errorResponse(frame, error.toBody()));
    }
  }
}

function connectionOn(socket: WebSocket, init: ConnectInitPayload): FixtureConnection {
  return {
    init,
    received: [],
    answers: [],
    send: (frame) => socket.send(JSON.stringify(frame)),
    close: (code, reason) => socket.close(code, reason),
    cut: () => socket.terminate(),
  };
}

/** An event with that id. */
export function fixtureEvent(event_id: string, type: string, payload: object = {}, cursor?: string): ReceivedEvent {
  const event = { event_id, type, occurred_at: '2026-01-01T00:00:00.000Z', payload } as ReceivedEvent;
  return cursor === undefined ? event : { ...event, cursor };
}

async function nextRequest(socket: WebSocket): Promise<RequestEnvelope> {
  const [data] = (await once(socket, 'message')) as [Buffer];
  return JSON.parse(data.toString()) as RequestEnvelope;
}

function tokenOf(request: IncomingMessage): string | undefined {
  const { authorization } = request.headers;
  if (authorization) return authorization.replace('Bearer ', '');
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  const coded = offered.find((one) => one.startsWith(AUTH_SUBPROTOCOL_PREFIX));
  return coded && new TextDecoder().decode(decodeBase64Url(coded.slice(AUTH_SUBPROTOCOL_PREFIX.length)));
}
