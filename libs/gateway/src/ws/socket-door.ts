import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { allows, type Principal, type TokenStore } from '@tyrum/identity';
import type { DrainSequence, Logger, WireLimits } from '@tyrum/platform';
import { CloseCode, DEFAULT_TENANT_ID, SUBPROTOCOL } from '@tyrum/protocol';
import { WebSocketServer, type WebSocket } from 'ws';
import type { EdgeLoops } from '../edge-loops';
import type { GatewayMetrics } from '../gateway-metrics';
import type { CappedBy, ConnectionCaps, Place } from '../limits/connection-caps';
import type { ClientAddresses } from '../limits/client-addresses';
import type { Refusal, RefusalAudit } from '../limits/refusal-audit';
import type { SessionAudit } from '../limits/session-audit';
import { Connection } from './connection';
import type { ConnectionDirectory } from './connection-directory';
import { drainConnections } from './drain-connections';
import { Handshake, type HandshakeStep, type HandshakeStamps } from './handshake';
import type { NodeDesk } from './node-desk';
import { SocketLink } from './socket-link';
import type { SocketSession } from './socket-session';
import { refuseUpgrade, type UpgradeRefusal } from './refuse-upgrade';
import { SOCKET_PATH, type UpgradeGate } from './upgrade-gate';

export interface SocketDoorPorts {
  readonly gate: UpgradeGate;
  readonly addresses: ClientAddresses;
  readonly caps: ConnectionCaps;
  readonly tokens: TokenStore;
  readonly directory: ConnectionDirectory;
  readonly session: SocketSession;
  readonly loops: EdgeLoops;
  readonly nodes: NodeDesk;
  readonly metrics: GatewayMetrics;
  readonly audit: RefusalAudit;
  readonly sessions: SessionAudit;
  readonly logger: Logger;
}

/** Durations in ms, sizes in bytes. */
export interface SocketDoorOptions {
  readonly stamps: HandshakeStamps;
  readonly edgeId: string;
  readonly wire: WireLimits;
  /** A reader that catches up and takes nothing for so long is cut off. A minute when absent. */
  readonly stalledReaderMs?: number;
  /** Sockets at once, handshakes included; more get 503. */
  readonly maxSockets?: number;
  /** Sockets of one address at once, handshakes included; more get 429. */
  readonly maxPerAddress?: number;
}

/** Long connections of one edge, event streams included. */
export const DEFAULT_MAX_SOCKETS = 20_000;
/** How long a peer may take to answer our close frame; a slow reader gets to read what was sent before it. */
const CLOSE_TIMEOUT_MS = 10_000;
/** How often the tokens of those who are connected are looked up: a revocation ends their sessions within two seconds. */
const REVOKED_SWEEP_MS = 1_000;
const BUSY_RETRY_S = 5;
const FULL = { status: 503, message: 'too many connections', retryAfterS: BUSY_RETRY_S } as const;

/** The rest is malformed, or speaks another revision. */
const HANDSHAKE_FAILURES: Partial<Record<CloseCode, string>> = {
  [CloseCode.Unauthorized]: 'role',
  [CloseCode.HandshakeTimeout]: 'handshake_time',
  [CloseCode.Policy]: 'handshake_messages',
  [CloseCode.DeviceIdMismatch]: 'device_id',
  [CloseCode.InvalidProof]: 'proof',
  [CloseCode.TokenBoundToOtherDevice]: 'other_device',
};

/**
 * The WebSocket door. It drives the `ws` server by hand instead of through Nest's adapter: the adapter accepts an upgrade
 * first and asks afterwards, while we owe an HTTP status before it, one exact subprotocol, and a stop in our own order.
 */
export class SocketDoor {
  /** Deflate costs memory a connection and lets a small frame unpack to a large one, so it is declined. */
  private readonly server: WebSocketServer;
  private accepting = true;
  private sweeping: NodeJS.Timeout | undefined;
  private pings: NodeJS.Timeout | undefined;

  constructor(
    private readonly ports: SocketDoorPorts,
    private readonly options: SocketDoorOptions,
  ) {
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: true,
      perMessageDeflate: false,
      maxPayload: options.wire.frameMaxBytes,
      handleProtocols: () => SUBPROTOCOL,
      closeTimeout: CLOSE_TIMEOUT_MS,
    } as ConstructorParameters<typeof WebSocketServer>[0]);
  }

  /** Begins to take upgrades from an HTTP server and registers what stopping them needs. */
  attach(server: Server, drain: DrainSequence): void {
    server.on('upgrade', (request, socket, head) => void this.upgrade(request, socket, head));
    this.pings = setInterval(() => this.checkConnections(), this.options.wire.pingIntervalMs);
    let sweep: Promise<void> | undefined;
    this.sweeping = setInterval(
      () => (sweep ??= this.endRevoked().finally(() => (sweep = undefined))),
      REVOKED_SWEEP_MS,
    );
    // Not a phase earlier: until balancers have noticed, a refusal would be all that a new client gets.
    drain.register('stopClaiming', 'websocket upgrades', () => void (this.accepting = false));
    drain.register('closeSockets', 'websocket connections', async (signal) => {
      clearInterval(this.pings);
      clearInterval(this.sweeping);
      await drainConnections(this.ports.directory.all(), signal);
      await this.ports.loops.stop();
      // What the last of them were refused is written down too, and who of them had come in.
      await Promise.all([this.ports.audit.flush(), this.ports.sessions.close()]);
      for (const socket of this.server.clients) socket.terminate();
    });
  }

  private get isFull(): boolean {
    const open = Math.max(this.server.clients.size, this.ports.directory.size);
    return open >= (this.options.maxSockets ?? DEFAULT_MAX_SOCKETS);
  }

  private async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // The peer may go while its token is looked up; an error nobody listens to would end the process.
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    try {
      if (!this.accepting) return this.refuse(socket, { status: 503, message: 'restarting', retryAfterS: 1 });
      if (this.isFull) {
        this.noteFull({ tenantId: DEFAULT_TENANT_ID }, 'edge');
        return this.refuse(socket, FULL);
      }
      const admission = await this.ports.gate.admit(request);
      if (admission.kind === 'refused') return this.refuse(socket, admission);
      const place = await this.placeFor(this.ports.addresses.of(request), admission.principal);
      if (place.full !== undefined) {
        this.noteFull(admission.principal, place.full);
        const message = `too many connections of this ${place.full}`;
        return this.refuse(socket, { status: 429, message, retryAfterS: BUSY_RETRY_S });
      }
      // The peer may have gone meanwhile, and says so only once.
      if (socket.destroyed) return place.release();
      // And those who asked at the same time may have come in.
      if (this.isFull) {
        place.release();
        this.noteFull(admission.principal, 'edge');
        return this.refuse(socket, FULL);
      }
      socket.once('close', place.release);
      socket.removeListener('error', ignore);
      this.server.handleUpgrade(request, socket, head, (ws) => this.greet(ws, socket, admission.principal));
    } catch (error) {
      this.ports.logger.error({ err: error }, 'upgrade failed');
      this.refuse(socket, { status: 500, message: 'the gateway failed' });
    }
  }

  private placeFor(address: string, { tenantId, maxConnections = Infinity }: Principal): Promise<Place> {
    return this.ports.caps.take([
      { by: 'address', id: address, limit: this.options.maxPerAddress ?? Infinity },
      { by: 'tenant', id: tenantId, limit: maxConnections },
    ]);
  }

  private refuse(socket: Duplex, refusal: UpgradeRefusal): void {
    this.ports.metrics.upgradeRefused(refusal.status);
    refuseUpgrade(socket, refusal, SOCKET_PATH);
  }

  /** Runs the handshake on a new socket. */
  private greet(ws: WebSocket, socket: Duplex, principal: Principal): void {
    const { stamps, wire } = this.options;
    const onClosing = (code: CloseCode): void => this.ports.metrics.closed(code);
    const link = new SocketLink(ws, socket, { ...wire, onClosing });
    const { messagesBeforeHandshake, frameMaxBytes: maxBytes, jsonMaxDepth: maxDepth } = wire;
    const handshake = new Handshake(principal, stamps, { messagesBeforeHandshake, json: { maxBytes, maxDepth } });
    const fail = (code: CloseCode, reason: string): void => {
      if (link.isOpen) this.noteFailure(principal, code);
      link.close(code, reason);
    };
    const tooLate = setTimeout(() => fail(CloseCode.HandshakeTimeout, 'the handshake took too long'), wire.handshakeMs);
    ws.once('close', () => clearTimeout(tooLate));
    const onMessage = (data: Buffer, isBinary: boolean): void => {
      if (!link.isOpen) return;
      const step: HandshakeStep = isBinary
        ? { kind: 'close', code: CloseCode.BadMessage, reason: 'expected text frames' }
        : handshake.receive(data.toString());
      if (step.kind === 'close') return fail(step.code, step.reason);
      if (step.kind === 'reply') return void link.send(JSON.stringify(step.response));
      clearTimeout(tooLate);
      ws.removeListener('message', onMessage);
      const readsEvents = allows(principal, 'operator.read');
      void this.establish(ws, new Connection(step.peer, link, readsEvents, wire.requestsInFlight), step);
    };
    ws.on('message', onMessage);
  }

  private async establish(
    ws: WebSocket,
    connection: Connection,
    step: HandshakeStep & { kind: 'established' },
  ): Promise<void> {
    const { caps, directory, nodes, session } = this.ports;
    const { tenantId, deviceId, resumeCursor } = step.peer;
    // The peer may send its first requests with the proof's answer still under way: they wait, and no more are read.
    const early: (string | undefined)[] = [];
    let receive = (text: string | undefined): void => void early.push(text);
    ws.on('message', (data: Buffer, isBinary: boolean) => receive(isBinary ? undefined : data.toString()));
    ws.pause();
    const cap = { by: 'device', id: `${tenantId}/${deviceId}`, limit: this.options.wire.connectionsPerDevice } as const;
    const place = await caps.take([cap]);
    ws.resume();
    if (place.full !== undefined) {
      this.noteFull(step.peer, place.full);
      return connection.link.close(CloseCode.Policy, `a device may have ${cap.limit} connections`);
    }
    if (!connection.link.isOpen) return place.release();
    this.ports.sessions.note(step.peer);
    directory.add(connection, { silent: resumeCursor !== undefined });
    ws.once('close', () => {
      place.release();
      directory.remove(connection);
      nodes.disconnected(connection);
    });
    session.begin(connection, step, this.options.edgeId);
    nodes.connected(connection);
    receive = (text) => session.receive(connection, text);
    early.forEach(receive);
  }

  private noteFull(who: Pick<Refusal, 'tenantId' | 'tokenId'>, subject: CappedBy | 'edge'): void {
    const { tenantId, tokenId } = who;
    const token = tokenId === undefined ? {} : { tokenId };
    this.ports.audit.note({ type: 'authz.denied', tenantId, ...token, door: 'ws', reason: 'connections', subject });
  }

  /** A proof or a device that is not the token's is an attempt on it, and so may be a handshake without an end. */
  private noteFailure({ tenantId, tokenId }: Principal, code: CloseCode): void {
    const reason = HANDSHAKE_FAILURES[code];
    if (reason) this.ports.audit.note({ type: 'auth.failed', tenantId, tokenId, door: 'ws', reason });
  }

  /** Nodes are asked by a request as well: not every one of them sees WebSocket pings. Any frame answers both. */
  private checkConnections(): void {
    for (const { link } of this.ports.directory.all()) link.ping();
    // Not those that catch up: the answer to their proof comes first.
    for (const { peer, link } of this.ports.directory.joined()) {
      if (peer.role !== 'node') continue;
      link.send(JSON.stringify({ request_id: this.options.stamps.newId(), type: 'ping', payload: {} }));
    }
  }

  /** Ends the sessions whose tokens have expired or been revoked. Asks the database, so that no lost wake-up matters. */
  private async endRevoked(): Promise<void> {
    const connections = this.ports.directory.all();
    try {
      const ended = await this.ports.tokens.endedAmong([...new Set(connections.map(({ peer }) => peer.tokenId))]);
      for (const { door, peer, link } of connections) {
        if (!ended.has(peer.tokenId) || !link.isOpen) continue;
        const { tenantId, tokenId } = peer;
        this.ports.audit.note({ type: 'auth.failed', tenantId, tokenId, door, reason: 'token_ended' });
        link.close(CloseCode.SessionExpired, 'the token has expired or was revoked');
      }
    } catch (error) {
      // No database, no verdict: the next round asks again.
      this.ports.logger.debug({ err: error }, 'tokens cannot be looked up now');
    }
  }
}
