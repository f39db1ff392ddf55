import { WireError, type DevicePayload, type JsonValue, type Pairing, type RequestEnvelope } from '@tyrum/protocol';
import { Backoff, DEFAULT_BACKOFF, type BackoffOptions } from './backoff';
import { pause, runtimeClock, type Clock } from './clock';
import type { DeviceIdentity } from './device-identity';
import { MemoryDispatchJournal, type DispatchJournal } from './dispatch-journal';
import { ClientClosedError, ConnectionLostError } from './errors';
import { TaskRunner, type Capability } from './task-runner';
import { TyrumClient } from './tyrum-client';
import type { WebSocketConstructor } from './web-socket';

export interface ServeOptions {
  /** `wss://host/ws`; of several edges each is tried in turn. */
  readonly url: string | readonly string[];
  /** A token of the role `node`, or the node's own from an earlier pairing. */
  readonly token: string;
  readonly identity: DeviceIdentity;
  readonly capabilities: readonly Capability[];
  /** What was asked and how it ended. One of memory when absent: after a restart a `once` action's outcome is then unknown. */
  readonly journal?: DispatchJournal;
  /** What is shown of the device to operators. */
  readonly device?: Omit<DevicePayload, 'device_id' | 'pubkey'>;
  /** Actions at a time; 4 when absent. */
  readonly maxConcurrent?: number;
  /** Actions that wait for their turn beyond which the node says that it is busy; 64 when absent. */
  readonly maxWaiting?: number;
  readonly observer?: NodeObserver;
  readonly WebSocket?: WebSocketConstructor;
  readonly tokenIn?: 'subprotocol' | 'header';
  readonly backoff?: BackoffOptions;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** What happens to a node. */
export interface NodeObserver {
  connected?(url: string): void;
  /** `retryInMs` is absent when it stays disconnected. */
  disconnected?(error: ConnectionLostError, retryInMs?: number): void;
  /** How its pairing stands: at each connection, and when it is decided. */
  pairing?(pairing: Pairing): void;
  /** The node's own token, given once: keep it, and give it to `token` the next time. */
  token?(token: string): void;
  /** An action failed for a reason the gateway is not told, or the journal did. */
  trouble?(error: unknown, dispatchId: string): void;
}

/** A node that serves. */
export interface ServedNode {
  readonly deviceId: string;
  /** Resolves when its pairing is approved for the first time; until then the gateway asks it nothing. */
  readonly approved: Promise<void>;
  /** Resolves with `close`. @throws {ConnectionLostError} when it is turned away for good: denied, revoked, a final close code */
  readonly ended: Promise<void>;
  /** Takes nothing more, gives what runs `graceMs` (10 s when absent), then aborts it; resolves when it is gone. */
  close(graceMs?: number): Promise<void>;
}

const DEFAULTS = { maxConcurrent: 4, maxWaiting: 64, graceMs: 10_000 };

/**
 * Makes this process a node: it connects, waits to be paired, says what it can do, and does what it is asked. It comes back
 * after whatever ends a connection, to the next edge if there are several, and answers from its journal what it did before.
 */
export function serveCapabilities(options: ServeOptions): ServedNode {
  return new CapabilityServer(options);
}

class CapabilityServer implements ServedNode {
  readonly deviceId: string;
  readonly approved: Promise<void>;
  readonly ended: Promise<void>;
  private readonly clock: Clock;
  private readonly client: TyrumClient;
  private readonly runner: TaskRunner;
  private readonly journal: DispatchJournal;
  private readonly closing = new AbortController();
  private token: string;
  private tries = 0;
  private approve: () => void = () => undefined;

  constructor(private readonly options: ServeOptions) {
    this.deviceId = options.identity.deviceId;
    this.token = options.token;
    this.clock = options.clock ?? runtimeClock;
    this.journal = options.journal ?? new MemoryDispatchJournal();
    this.runner = new TaskRunner(options.capabilities, {
      journal: this.journal,
      maxConcurrent: options.maxConcurrent ?? DEFAULTS.maxConcurrent,
      maxWaiting: options.maxWaiting ?? DEFAULTS.maxWaiting,
      clock: this.clock,
      sendEvidence: async (payload, requestId) => {
        await this.client.request('attempt.evidence', payload as never, { requestId });
      },
      trouble: (error, dispatchId) => options.observer?.trouble?.(error, dispatchId),
    });
    this.client = this.newClient();
    this.client.on('pairing.updated', ({ payload }) => this.paired(payload));
    this.approved = new Promise((resolve) => (this.approve = resolve));
    this.ended = this.serve();
    // Whoever does not wait for the end is told by the observer.
    this.ended.catch(() => undefined);
  }

  async close(graceMs: number = DEFAULTS.graceMs): Promise<void> {
    this.closing.abort();
    await Promise.race([this.runner.idle(), pause(this.clock, graceMs)]);
    this.runner.stop('the node was closed');
    await this.runner.idle();
    // The last answers are handed to the socket in this turn of the event loop, and a socket sends what it has before it closes.
    await pause(this.clock, 0);
    this.client.close();
    await this.ended.catch(() => undefined);
  }

  private newClient(): TyrumClient {
    const { identity, device, WebSocket, tokenIn, backoff, clock, random, observer } = this.options;
    return new TyrumClient({
      url: () => this.nextUrl(),
      token: () => this.token,
      identity,
      role: 'node',
      // What it can do is said by `capability.ready` alone, with how it remembers: before, it must not be asked.
      resume: false,
      answer: (request) => this.answer(request),
      observer: {
        connected: () => this.connected(),
        disconnected: (error, retryInMs) => observer?.disconnected?.(error, retryInMs),
      },
      ...(device ? { device } : {}),
      ...(WebSocket ? { WebSocket } : {}),
      ...(tokenIn ? { tokenIn } : {}),
      ...(backoff ? { backoff } : {}),
      ...(clock ? { clock } : {}),
      ...(random ? { random } : {}),
    });
  }

  /** Until it is closed or turned away. The client reconnects by itself once it was connected. */
  private async serve(): Promise<void> {
    const backoff = new Backoff(this.options.backoff ?? DEFAULT_BACKOFF, this.options.random);
    for (;;) {
      try {
        await this.client.connect();
        break;
      } catch (error) {
        if (error instanceof ClientClosedError) return;
        if (!(error instanceof ConnectionLostError) || error.isFinal) throw error;
        const delayMs = backoff.next();
        this.options.observer?.disconnected?.(error, delayMs);
        await pause(this.clock, delayMs, this.closing.signal);
        if (this.closing.signal.aborted) return;
      }
    }
    try {
      // Events are not read here; their end is that of the client.
      for await (const _ of this.client.events()) continue;
    } finally {
      this.runner.stop('the node was turned away');
    }
  }

  private nextUrl(): string {
    const { url } = this.options;
    const urls = typeof url === 'string' ? [url] : url;
    const next = urls[this.tries % urls.length];
    this.tries += 1;
    if (next === undefined) throw new TypeError('a node needs the address of an edge');
    return next;
  }

  private connected(): void {
    const { capabilities, observer, url } = this.options;
    const urls = typeof url === 'string' ? [url] : url;
    observer?.connected?.(urls[(this.tries - 1) % urls.length] as string);
    const payload = {
      capabilities: capabilities.map(({ id, version }) => ({ id, version })),
      capability_states: [{ dispatch_journal: this.journal.kind, instance: this.journal.instance }],
    };
    // Lost with its connection it is said again on the next one.
    this.client.request('capability.ready', payload).catch((error: unknown) => {
      if (error instanceof WireError) observer?.trouble?.(error, 'capability.ready');
    });
  }

  private paired({ pairing, scoped_token }: { pairing: Pairing; scoped_token?: string }): void {
    if (scoped_token !== undefined) {
      this.token = scoped_token;
      this.options.observer?.token?.(scoped_token);
    }
    this.options.observer?.pairing?.(pairing);
    if (pairing.status === 'approved') this.approve();
    // What an operator no longer wants is not to be finished.
    else if (pairing.status === 'revoked' || pairing.status === 'denied') this.runner.stop('the pairing has ended');
  }

  private cancel({ payload }: RequestEnvelope): JsonValue {
    const { dispatch_id: dispatchId, reason } = payload;
    if (typeof dispatchId !== 'string') throw new WireError('contract_error', 'task.cancel names a dispatch_id');
    return {
      stopping: this.runner.cancel(dispatchId, typeof reason === 'string' ? reason : 'the gateway asked for it'),
    };
  }

  private async answer(request: RequestEnvelope): Promise<JsonValue> {
    if (request.type === 'task.cancel') return this.cancel(request);
    if (request.type !== 'task.execute') throw new WireError('invalid_request', 'a node answers task.execute');
    if (this.closing.signal.aborted) throw new WireError('overloaded', 'the node is stopping');
    return this.runner.execute(request);
  }
}
