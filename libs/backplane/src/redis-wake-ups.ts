import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

export interface RedisWakeUpsOptions {
  readonly url: string;
  /** Keeps installations on one Redis apart. */
  readonly prefix: string;
  /** For sending; it stays its owner's. */
  readonly connection: Redis;
  /** Returns false when nobody here has room for more work. */
  readonly onWakeUp: () => boolean;
  readonly canSend: () => boolean;
  readonly onError: (error: unknown) => void;
}

const QUEUE = 'work';
/** A job says only this: whoever gets it asks the database. */
const LOOK = 'look in the database';
/** Tried once and not kept: a wake-up that failed is made up for by polling, and finished ones are of no use to anybody. */
const JOB = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;
/** How soon a wake-up that finds a worker without room tries another one, in ms. */
const PASS_ON_MS = 50;
const MAX_RECONNECT_DELAY_MS = 2_000;
/**
 * How long a wait for a job may outlast its connection, in ms: BullMQ gives it up a second after `drainDelay`. The process
 * would live for as long anyway, and what comes after the close may count on nothing being left of it.
 */
const LAST_WAIT_MS = 3_500;
/** How long a Redis that hangs may hold up the end of a process, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Wake-ups for one of many workers, now or later, as jobs of a BullMQ queue. */
export class RedisWakeUps {
  private readonly queue: Queue;
  private readonly workers: { readonly worker: Worker; readonly connection: Redis; readonly running: Promise<void> }[] =
    [];
  private passing: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly options: RedisWakeUpsOptions) {
    const { connection, prefix, onError } = options;
    this.queue = new Queue(QUEUE, {
      connection,
      prefix,
      skipVersionCheck: true,
      skipWaitingForReady: true,
      skipMetasUpdate: true,
    });
    this.queue.on('error', onError);
  }

  /** Wakes one listening process. Rejects when Redis did not take it. */
  async send(delayMs = 0): Promise<void> {
    await this.queue.add(LOOK, {}, delayMs > 0 ? { ...JOB, delay: Math.ceil(delayMs) } : JOB);
  }

  /** From now on some of the wake-ups come here. */
  listen(): void {
    if (this.workers.length > 0 || this.isClosed) return;
    const { url, prefix, onWakeUp, onError } = this.options;
    // BullMQ waits on this connection for jobs, however long Redis is away.
    const connection = new Redis(url, {
      maxRetriesPerRequest: null,
      retryStrategy: (attempt) => Math.min(attempt * 100, MAX_RECONNECT_DELAY_MS),
    });
    connection.on('error', onError);
    const look = (): Promise<void> => {
      if (!onWakeUp()) this.passOn();
      return Promise.resolve();
    };
    // It asks for the server's version: without it, delays are rounded up to whole seconds.
    const worker = new Worker(QUEUE, look, { connection, prefix, autorun: false, ...QUICK });
    worker.on('error', onError);
    this.workers.push({ worker, connection, running: worker.run().catch(onError) });
  }

  /**
   * Wakes somebody else in a moment, perhaps ourselves. Under its one name there is at most one such job however many
   * workers are full, or they would send each other ever more of them.
   */
  private passOn(): void {
    this.passing ??= setTimeout(() => {
      this.passing = undefined;
      if (!this.options.canSend()) return;
      this.queue.add(LOOK, {}, { ...JOB, jobId: 'passed-on' }).catch(this.options.onError);
    }, PASS_ON_MS).unref();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.passing);
    const closing = this.workers.splice(0).map(async ({ worker, connection, running }) => {
      await within(CLOSE_TIMEOUT_MS, worker.close(true));
      hangUp(connection);
      await within(LAST_WAIT_MS, running);
    });
    await Promise.all([...closing, within(CLOSE_TIMEOUT_MS, this.queue.close())]);
  }
}

/** Closes a connection without the two seconds that ioredis leaves a server to say goodbye. */
export function hangUp(connection: Redis): void {
  const { stream } = connection as { readonly stream?: Redis['stream'] };
  connection.disconnect();
  stream?.destroy();
}

/**
 * `drainDelay`, in seconds: how long one wait for a job lasts, and so how soon a connection that hangs is given up. The
 * lock is never renewed because a job takes no time.
 */
const QUICK = { concurrency: 1, drainDelay: 2, skipLockRenewal: true, maxStalledCount: 0 } as const;

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work.catch(() => undefined), over]);
  clearTimeout(timer);
}
