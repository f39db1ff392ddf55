import { Redis } from 'ioredis';
import type { Handler, Topic } from './backplane';
import { LinkedBackplane } from './linked-backplane';
import { hangUp, RedisWakeUps } from './redis-wake-ups';

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
/** The longest payload with every character escaped. */
const MAX_BYTES = 512 * 1024;
/** A Redis that hangs must not make us keep a message for each commit. */
const MAX_IN_FLIGHT = 1_000;
const COMMAND_TIMEOUT_MS = 2_000;
const MAX_RECONNECT_DELAY_MS = 2_000;
const OPEN_TIMEOUT_MS = 5_000;
const DEFAULT_HEARTBEAT_MS = 5_000;

/**
 * Redis says "look now" in two ways. Pub/sub reaches every process, for what every edge must see. `work` is for one worker:
 * it is a BullMQ job, so that twenty workers do not all ask the database for one turn, and it can be sent with a delay.
 * Nothing that is kept in Redis is needed: losing it, or all that is in it, costs latency only.
 */
export class RedisBackplane extends LinkedBackplane {
  readonly kind = 'redis';
  private readonly channel: string;
  private readonly heartbeat: NodeJS.Timeout;
  private readonly wakeUps: RedisWakeUps;
  private listening = false;
  private evicts: EvictionPolicyError | undefined;
  private inFlight = 0;
  private trying = false;

  private constructor(
    private readonly publisher: Redis,
    private readonly listener: Redis,
    options: RedisBackplaneOptions,
  ) {
    super({ windowMs: WINDOW_MS, maxBytes: MAX_BYTES });
    this.channel = `tyrum:${options.namespace}`;
    this.wakeUps = new RedisWakeUps({
      url: options.url,
      prefix: this.channel,
      connection: publisher,
      onWakeUp: () => this.subscribers.deliver('work', undefined),
      canSend: () => publisher.status === 'ready',
      onError: (error) => options.onError?.(error),
    });
    listener.on('message', (_channel: string, text: string) => this.receive(text));
    listener.on('ready', () => void this.listen());
    listener.on('close', () => (this.listening = false));
    // A server that comes back may have come back with another configuration.
    publisher.on('ready', () => void this.checkEviction().catch(() => undefined));
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
        // A server that goes away over the question is as one that is away.
        await backplane.checkEviction().catch(() => undefined);
        if (backplane.evicts) throw backplane.evicts;
        await backplane.listen();
      }
    } catch (error) {
      await backplane.close();
      throw error;
    }
    return backplane;
  }

  get problem(): string | undefined {
    if (this.publisher.status !== 'ready' || !this.listening) return 'Redis cannot be reached';
    return this.evicts?.message;
  }

  override subscribe(topic: Topic, handler: Handler): () => void {
    // A process that only publishes must not take a worker's jobs.
    if (topic === 'work') this.wakeUps.listen();
    return super.subscribe(topic, handler);
  }

  protected override wakeOthers(topic: Topic): void {
    if (topic !== 'work') return super.wakeOthers(topic);
    if (!this.track(() => this.wakeUps.send())) this.lost();
  }

  protected override wakeOthersLater(topic: Topic, delayMs: number): boolean {
    return topic === 'work' && this.track(() => this.wakeUps.send(delayMs));
  }

  protected carry(text: string): boolean {
    return this.track(() => this.publisher.publish(this.channel, text));
  }

  protected async disconnect(): Promise<void> {
    clearInterval(this.heartbeat);
    await this.wakeUps.close();
    hangUp(this.publisher);
    hangUp(this.listener);
  }

  /** Gives a command to Redis, unless it is away or has too many already. */
  private track(command: () => Promise<unknown>): boolean {
    if (this.publisher.status !== 'ready' || this.inFlight >= MAX_IN_FLIGHT) return false;
    this.inFlight += 1;
    void command()
      .catch(() => this.lost())
      .finally(() => (this.inFlight -= 1));
    return true;
  }

  private async listen(): Promise<void> {
    try {
      await this.listener.subscribe(this.channel);
    } catch {
      return; // The connection went again; its next `ready` subscribes.
    }
    if (this.listening) return;
    this.listening = true;
    this.subscribers.reconnected();
  }

  /** A server that is paused, or cut off without a word, keeps the socket open: only silence tells. */
  private async tryConnections(): Promise<void> {
    if (this.trying) return;
    this.trying = true;
    const { publisher, listener } = this;
    const isReady = ({ status }: Redis): boolean => status === 'ready';
    await Promise.all([
      isReady(publisher) && this.checkEviction().catch(() => publisher.stream.destroy()),
      isReady(listener) && listener.ping().catch(() => listener.stream.destroy()),
    ]);
    this.trying = false;
  }

  /** Rejects when Redis does not answer. */
  private async checkEviction(): Promise<void> {
    const policy = await evictionPolicy(this.publisher);
    this.evicts = policy === undefined ? undefined : new EvictionPolicyError(policy);
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

/** What it evicts by, if it does. Asks with INFO: hosted Redis often forbids CONFIG. */
async function evictionPolicy(redis: Redis): Promise<string | undefined> {
  const memory = await redis.info('memory');
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(memory)?.[1] ?? '';
  const policy = field('maxmemory_policy');
  return Number(field('maxmemory')) > 0 && policy !== 'noeviction' ? policy || 'unknown' : undefined;
}
