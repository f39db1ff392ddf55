import {
  CloseCode,
  errorResponse,
  LIMITS,
  okResponse,
  restartDelayMs,
  WireError,
  type Capability,
  type ConnectProofResult,
  type DevicePayload,
  type EventType,
  type JsonObject,
  type JsonValue,
  type PeerRole,
  type ReceivedEvent,
  type RequestEnvelope,
  type RequestPayload,
  type RequestResult,
  type RequestType,
  type ResponseEnvelope,
} from '@tyrum/protocol';
import { Backoff, DEFAULT_BACKOFF, type BackoffOptions } from './backoff';
import { runtimeClock, type Clock } from './clock';
import type { DeviceIdentity } from './device-identity';
import { ClientClosedError, ConnectionLostError } from './errors';
import { EventStream, type EventHandler } from './event-stream';
import { Link } from './link';
import { PendingRequests } from './pending-requests';
import { runtimeWebSocket, type WebSocketConstructor } from './web-socket';

export interface TyrumClientOptions {
  /** `ws://host:port/ws` or `wss://…`; a function is asked for each connection. */
  readonly url: string | (() => string);
  readonly token: string | (() => string);
  readonly identity: DeviceIdentity;
  /** `client` when absent. */
  readonly role?: PeerRole;
  /** What is shown of the device to operators. */
  readonly device?: Omit<DevicePayload, 'device_id' | 'pubkey'>;
  readonly capabilities?: readonly Capability[];
  /** The runtime's when absent. Node before version 22 has none: pass that of `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  /** How the token travels; `header` is for constructors that can send one, such as `ws`. `subprotocol` when absent. */
  readonly tokenIn?: 'subprotocol' | 'header';
  /**
   * Whether events missed while disconnected are asked for (`resume`); true when absent. An object continues after a cursor
   * of an earlier process. Gateways without this addition of ours need `false`.
   */
  readonly resume?: boolean | { readonly cursor: string };
  /** Answers what the gateway asks a node, such as `task.execute`. What it throws is the error answered. */
  readonly answer?: (request: RequestEnvelope) => Promise<JsonValue | undefined>;
  readonly observer?: ClientObserver;
  readonly backoff?: BackoffOptions;
  /** How long an answer is waited for, reconnects included, in ms; 30 s when absent. */
  readonly requestTimeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly newId?: () => string;
}

/** What happens to the connection. */
export interface ClientObserver {
  connected?(welcome: ConnectProofResult): void;
  /** `retryInMs` is absent when it stays disconnected. */
  disconnected?(error: ConnectionLostError, retryInMs?: number): void;
  /** Events between the last connection and this one are gone: reload what is shown. */
  gap?(): void;
}

export interface RequestOptions {
  /** Names the request: the same id, type and payload is the same request, for 24 hours and across processes. */
  readonly requestId?: string;
  readonly timeoutMs?: number;
}

/** Fields that the gateway fills in. */
type Defaulted = 'limit' | 'capability_states';

/** A request's payload as it is sent. */
export type RequestInput<T extends RequestType> = Omit<RequestPayload<T>, Defaulted> &
  Partial<Pick<RequestPayload<T>, Extract<keyof RequestPayload<T>, Defaulted>>>;

export type ClientState = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed';

/** No gateway takes this for a position, so it begins at the head: how a first connection asks for cursors at all. */
const HEAD_CURSOR = 'head';
const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
/** A connection that lasted this long was a good one, and the back-off begins anew. */
const LASTING_MS = 5_000;
const EVENT_LIMITS = { remembered: 10_000, buffered: 10_000 };

/*
 *            connect()                welcome
 *   idle ───────────────▶ connecting ─────────▶ open
 *    ▲   first try failed     ▲  │                │ lost
 *    └────────────────────────┼──┘                ▼
 *                             └──── delay ──── waiting          close(), or a final close code ──▶ closed
 */

/**
 * A client's or node's side of `tyrum-v1`. It reconnects by itself once it was connected; requests outlive a connection
 * under the same `request_id`, so that nothing is done twice; each event is handed on once.
 */
export class TyrumClient {
  private current: ClientState = 'idle';
  private link: Link | undefined;
  private cursor: string | undefined;
  private cancelTimer: () => void = () => {};
  private connectedAtMs = 0;
  private heardAtMs = 0;
  private firstTry: { resolve: (welcome: ConnectProofResult) => void; reject: (error: Error) => void } | undefined;
  private readonly clock: Clock;
  private readonly newId: () => string;
  private readonly backoff: Backoff;
  private readonly requests: PendingRequests;
  private readonly stream = new EventStream(EVENT_LIMITS);

  constructor(private readonly options: TyrumClientOptions) {
    this.clock = options.clock ?? runtimeClock;
    this.newId = options.newId ?? (() => globalThis.crypto.randomUUID());
    this.backoff = new Backoff(options.backoff ?? DEFAULT_BACKOFF, options.random ?? Math.random);
    this.requests = new PendingRequests(this.clock);
    if (typeof options.resume === 'object') this.cursor = options.resume.cursor;
  }

  get state(): ClientState {
    return this.current;
  }

  /** The position after the last event received; give it to `resume` to continue in another process. */
  get position(): string | undefined {
    return this.cursor;
  }

  /**
   * Connects. Rejects when the first try fails, and may be called again unless the error `isFinal`; from then on it
   * reconnects by itself.
   * @throws {ConnectionLostError} @throws {ClientClosedError}
   */
  connect(): Promise<ConnectProofResult> {
    if (this.current === 'closed') return Promise.reject(new ClientClosedError());
    if (this.current !== 'idle') return Promise.reject(new TypeError(`connect() while ${this.current}`));
    return new Promise((resolve, reject) => {
      this.firstTry = { resolve, reject };
      this.open();
    });
  }

  /**
   * Sends a request and resolves with its result. May be called while disconnected: it goes out with the next connection.
   * @throws {WireError} the gateway's answer @throws {RequestTimeoutError} @throws {BacklogError} @throws {ClientClosedError}
   * @throws {ConnectionLostError} when the connection is lost for good
   */
  request<T extends RequestType>(
    type: T,
    payload: RequestInput<T>,
    options: RequestOptions = {},
  ): Promise<RequestResult<T>> {
    if (this.current === 'closed') return Promise.reject(new ClientClosedError());
    const requestId = options.requestId ?? this.newId();
    const timeoutMs = options.timeoutMs ?? this.options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    return this.requests.add({ requestId, type, payload, timeoutMs }) as Promise<RequestResult<T>>;
  }

  /** Calls `handler` for every event of that type; `*` is every event. Returns what takes it away again. */
  on<T extends EventType>(type: T, handler: EventHandler<T>): () => void;
  on(type: '*', handler: (event: ReceivedEvent) => void): () => void;
  on(type: string, handler: (event: never) => void): () => void {
    return this.stream.on(type, handler as (event: ReceivedEvent) => void);
  }

  /** Events from now on, across reconnects. Ends with `close()`; throws when the connection is lost for good. */
  events(): AsyncIterableIterator<ReceivedEvent> {
    return this.stream.iterate();
  }

  /** Ends everything; what is unanswered is rejected. There is no way back. */
  close(): void {
    this.end(undefined);
  }

  private open(): void {
    const {
      url,
      token,
      identity,
      role = 'client',
      device = {},
      capabilities = [],
      tokenIn = 'subprotocol',
    } = this.options;
    const cursor = this.options.resume === false ? undefined : (this.cursor ?? HEAD_CURSOR);
    const WebSocket = this.options.WebSocket ?? runtimeWebSocket();
    const base = {
      url: now(url),
      token: now(token),
      identity,
      role,
      device,
      capabilities,
      tokenIn,
      WebSocket,
      newId: this.newId,
    };
    const link = new Link(cursor === undefined ? base : { ...base, cursor }, {
      welcome: (welcome) => this.welcome(link, welcome),
      frame: (frame) => this.receive(link, frame),
      lost: (error) => this.lose(error),
    });
    this.link = link;
    this.current = 'connecting';
    this.cancelTimer();
    // The gateway's own limit for a handshake, and a little for the network.
    this.cancelTimer = this.clock.after(LIMITS.handshakeMs + 2_000, () => link.abandon('no handshake in time'));
  }

  private welcome(link: Link, welcome: ConnectProofResult): void {
    this.current = 'open';
    this.connectedAtMs = this.heardAtMs = this.clock.nowMs();
    this.watchSilence(link);
    const missed = this.cursor !== undefined && welcome.cursor !== undefined && welcome.cursor !== this.cursor;
    this.cursor = welcome.cursor ?? this.cursor;
    this.requests.connected((text) => link.send(text));
    this.firstTry?.resolve(welcome);
    this.firstTry = undefined;
    this.options.observer?.connected?.(welcome);
    if (missed) this.options.observer?.gap?.();
  }

  private receive(link: Link, frame: JsonObject): void {
    this.heardAtMs = this.clock.nowMs();
    if (typeof frame['ok'] === 'boolean') return this.requests.settle(frame as unknown as ResponseEnvelope);
    if (typeof frame['event_id'] !== 'string') return void this.answer(link, frame as unknown as RequestEnvelope);
    const event = frame as unknown as ReceivedEvent;
    if (event.cursor !== undefined) this.cursor = event.cursor;
    this.stream.push(event);
  }

  /** The gateway's request is answered on the connection it came by: to another it would mean nothing. */
  private async answer(link: Link, request: RequestEnvelope): Promise<void> {
    try {
      const result = request.type === 'ping' ? undefined : await this.refuseUnless(this.options.answer)(request);
      link.send(JSON.stringify(okResponse(request, result)));
    } catch (error) {
      const known =
        error instanceof WireError ? error : new WireError('internal', 'the request could not be carried out');
      link.send(JSON.stringify(errorResponse(request, known.toBody())));
    }
  }

  private refuseUnless(answer: TyrumClientOptions['answer']): NonNullable<TyrumClientOptions['answer']> {
    if (answer) return answer;
    throw new WireError('invalid_request', 'this peer answers no such request');
  }

  /** A peer that vanished without a closing frame is only noticed by asking: a browser sees no WebSocket pings. */
  private watchSilence(link: Link): void {
    this.cancelTimer();
    this.cancelTimer = this.clock.after(LIMITS.pingIntervalMs, () => {
      const silentMs = this.clock.nowMs() - this.heardAtMs;
      if (silentMs > LIMITS.pingIntervalMs * (LIMITS.missedPingsBeforeClose + 1))
        return link.abandon('no answer to pings');
      if (silentMs >= LIMITS.pingIntervalMs)
        link.send(JSON.stringify({ request_id: this.newId(), type: 'ping', payload: {} }));
      this.watchSilence(link);
    });
  }

  private lose(error: ConnectionLostError): void {
    this.cancelTimer();
    this.link = undefined;
    this.requests.disconnected();
    const { firstTry } = this;
    this.firstTry = undefined;
    if (error.isFinal) {
      this.options.observer?.disconnected?.(error);
      firstTry?.reject(error);
      return this.end(error);
    }
    if (firstTry) {
      this.current = 'idle';
      return firstTry.reject(error);
    }
    this.reconnectAfter(error);
  }

  private reconnectAfter(error: ConnectionLostError): void {
    const wasOpen = this.current === 'open';
    if (wasOpen && this.clock.nowMs() - this.connectedAtMs >= LASTING_MS) this.backoff.reset();
    this.current = 'waiting';
    const asked =
      error.closeCode === CloseCode.Restarting ? restartDelayMs(error.reason, LIMITS.restartDelayMaxMs) : undefined;
    // The gateway has spread its peers itself: jitter on top would only make this one late.
    const delayMs = asked ?? this.backoff.next();
    this.cancelTimer = this.clock.after(delayMs, () => this.open());
    this.options.observer?.disconnected?.(error, delayMs);
  }

  private end(error: Error | undefined): void {
    if (this.current === 'closed') return;
    this.current = 'closed';
    this.cancelTimer();
    this.link?.drop();
    this.link = undefined;
    this.firstTry?.reject(error ?? new ClientClosedError());
    this.firstTry = undefined;
    this.requests.failAll(error ?? new ClientClosedError());
    this.stream.end(error);
  }
}

function now(value: string | (() => string)): string {
  return typeof value === 'string' ? value : value();
}
