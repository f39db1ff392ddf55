import type { Redis } from 'ioredis';

const COMMAND_TIMEOUT_MS = 1_000;
const MAX_RECONNECT_DELAY_MS = 2_000;

/** Counters that the processes of an installation share. Losing them costs precision, never a decision. */
export interface SharedCounters {
  /** Adds to each and returns what they come to. Each is forgotten `ttlMs` after it was last added to. Rejects while Redis is away. */
  add(counts: readonly { readonly name: string; readonly count: number }[], ttlMs: number): Promise<number[]>;
  close(): Promise<void>;
}

/** A connection for what processes share besides wake-ups. It is made again for ever; commands reject meanwhile, and at once. */
export async function openSharedRedis(url: string): Promise<Redis> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 5), MAX_RECONNECT_DELAY_MS),
  });
  redis.on('error', () => undefined);
  return redis;
}

/** Counters in Redis, whose package is loaded only now. @param namespace keeps installations on one Redis apart */
export async function openRedisCounters(url: string, namespace: string): Promise<SharedCounters> {
  const redis = await openSharedRedis(url);
  return {
    async add(counts, ttlMs) {
      const pipeline = redis.pipeline();
      for (const { name, count } of counts) {
        pipeline.incrby(`tyrum:${namespace}:count:${name}`, count);
        pipeline.pexpire(`tyrum:${namespace}:count:${name}`, ttlMs);
      }
      const answers = (await pipeline.exec()) ?? [];
      const failed = answers.find(([error]) => error)?.[0];
      if (failed) throw failed;
      return counts.map((_, i) => Number(answers[2 * i]?.[1]));
    },
    close() {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}
