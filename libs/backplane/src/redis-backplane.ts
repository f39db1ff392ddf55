import { Redis } from 'ioredis';
import type { Backplane, Handler, Topic } from './backplane';
import { ProcessLink } from './process-link';

/** This Redis may throw keys away when it is full; Tyrum does not start on it. */
export class EvictionPolicyError extends Error {
  readonly code = 'redis_eviction_policy';
  constructor(policy: string) {
    super(`Redis evicts keys when it is full (maxmemory-policy ${policy}): set it to noeviction`);
    this.name = 'EvictionPolicyError';
  }
}

export interface RedisBackplaneOptions {
  readonly url: string;
  /** Keeps installations on one Redis apart; all processes of one installation give the same. */
  readonly namespace: string;
  /** How often a silent connection is tried, in milliseconds. */
  readonly heartbeatMs?: number;
  /** Told about every failed or lost connection; it is made again by itself. */
  readonly onError?: (error: unknown) => void;
}

const WINDOW_MS = 2;
const MAX_BYTES = 64 * 1024;
/** A Redis that hangs must not make us keep a message for each commit. */
const MAX_IN_FLIGHT = 1_000;
const COMMAND_TIMEOUT_MS = 2_000;
const MAX_RECONNECT_DELAY_MS = 2_000;
const OPEN_TIMEOUT_MS = 5_000;
const DEFAULT_HEARTBEAT_MS = 5_000;

/** Wake-ups through Redis pub/sub. Nothing is kept in Redis: losing it, or all that is in it, costs latency only. */
export class RedisBackplane implements Backplane {
  readonly kind = 'redis';
  private readonly link: ProcessLink;
  private readonly channel: string;
  private readonly heartbeat: NodeJS.Timeout;
  private listening = false;
  private inFlight = 0;
  private trying = false;

  private constructor(
    private readonly publisher: Redis,
    private readonly listener: Redis,
    options: RedisBackplaneOptions,
  ) {
    this.channel = `tyrum:${options.namespace}`;
    this.link = new ProcessLink({ send: (text) => this.send(text), windowMs: WINDOW_MS, maxBytes: MAX_BYTES });
    listener.on('message', (_channel: string, text: string) => this.link.receive(text));
    listener.on('ready', () => void this.listen());
    listener.on('close', () => (this.listening = false));
    this.heartbeat = setInterval(() => void this.tryConnections(), options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS).unref();
  }

  /**
   * Connects. A Redis that is away at boot costs latency, not the boot: the connection is then made in the background.
   * @throws {EvictionPolicyError} it answers, and evicts
   */
  static async open(options: RedisBackplaneOptions): Promise<RedisBackplane> {
    const publisher = connect(options);
    const listener = connect(options);
    const backplane = new RedisBackplane(publisher, listener, options);
    try {
      const ready = await Promise.all([becomesReady(publisher), becomesReady(listener)]);
      if (ready.every(Boolean)) {
        await refuseEviction(publisher);
        await backplane.listen();
      }
    } catch (error) {
      await backplane.close();
      throw error;
    }
    return backplane;
  }

  get healthy(): boolean {
    return this.publisher.status === 'ready' && this.listening;
  }

  get dropped(): number {
    return this.link.dropped;
  }

  publish(topic: Topic, payload?: string): void {
    this.link.publish(topic, payload);
  }

  subscribe(topic: Topic, handler: Handler): () => void {
    return this.link.subscribers.add(topic, handler);
  }

  onReconnect(handler: () => void): () => void {
    return this.link.subscribers.addReconnect(handler);
  }

  close(): Promise<void> {
    clearInterval(this.heartbeat);
    this.link.close();
    this.publisher.disconnect();
    this.listener.disconnect();
    return Promise.resolve();
  }

  private async listen(): Promise<void> {
    try {
      await this.listener.subscribe(this.channel);
    } catch {
      return; // The connection went again; its next `ready` subscribes.
    }
    if (this.listening) return;
    this.listening = true;
    this.link.subscribers.reconnected();
  }

  private send(text: string): boolean {
    if (this.publisher.status !== 'ready' || this.inFlight >= MAX_IN_FLIGHT) return false;
    this.inFlight += 1;
    void this.publisher
      .publish(this.channel, text)
      .catch(() => this.link.lost())
      .finally(() => (this.inFlight -= 1));
    return true;
  }

  /** A server that is paused, or cut off without a word, keeps the socket open: only silence tells. */
  private async tryConnections(): Promise<void> {
    if (this.trying) return;
    this.trying = true;
    const ready = [this.publisher, this.listener].filter((redis) => redis.status === 'ready');
    await Promise.all(ready.map((redis) => redis.ping().catch(() => redis.stream.destroy())));
    this.trying = false;
  }
}

function connect({ url, onError }: RedisBackplaneOptions): Redis {
  const redis = new Redis(url, {
    // A queue of wake-ups for a Redis that is away would be memory spent on nothing: consumers poll meanwhile.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(attempt * 100, MAX_RECONNECT_DELAY_MS),
  });
  // ioredis reports every failed attempt here; without a listener that would end the process.
  redis.on('error', (error) => onError?.(error));
  return redis;
}

function becomesReady(redis: Redis): Promise<boolean> {
  if (redis.status === 'ready') return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), OPEN_TIMEOUT_MS);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** Asks with INFO: hosted Redis often forbids CONFIG. A server that goes away over the question is as one that is away. */
async function refuseEviction(redis: Redis): Promise<void> {
  const memory = await redis.info('memory').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(memory)?.[1] ?? '';
  const policy = field('maxmemory_policy');
  if (Number(field('maxmemory')) > 0 && policy !== 'noeviction') throw new EvictionPolicyError(policy || 'unknown');
}
