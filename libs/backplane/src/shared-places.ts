import { randomUUID } from 'node:crypto';
import { openSharedRedis } from './shared-counters';

/** How many places of a cap this process has taken. */
export interface Holding {
  /** Whose cap it is. */
  readonly name: string;
  readonly own: number;
}

export interface WantedPlace extends Holding {
  /** `own` counts the place that is asked for; with those of the other processes it must not be more than this. */
  readonly limit: number;
}

/**
 * Places under caps that the processes of an installation keep together, such as the connections of a device. Each process
 * counts its own and tells the sums, so that whatever is told twice, late or again comes to the same. What a process told is
 * forgotten `PLACES_TTL_MS` after it last said that it lives. All of it rejects while Redis is away.
 */
export interface SharedPlaces {
  /** Takes a place under each cap, or none at all. Returns the index of the first that is full; undefined: they are taken. */
  take(wanted: readonly WantedPlace[]): Promise<number | undefined>;
  /** Tells sums that have changed. */
  tell(changed: readonly Holding[]): Promise<void>;
  /** Tells everything: what is not named here is no longer held. */
  tellAll(holdings: readonly Holding[]): Promise<void>;
  /** Says that this process lives. False: what it told is not there any more, and `tellAll` is due. */
  keep(): Promise<boolean>;
  close(): Promise<void>;
}

/** How long a process that died keeps its places, in ms. Say that you live several times as often. */
export const PLACES_TTL_MS = 6_000;
/** Commands of one round trip. */
const CHUNK = 500;

/** Milliseconds by the server's clock: those of the processes may differ. */
const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

/** KEYS: processes, own places. ARGV: prefix of places, own name, TTL, then name, own sum and limit of each cap. */
const TAKE = `${NOW}
local processes = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')
for i = 4, #ARGV, 3 do
  local sum = tonumber(ARGV[i + 1])
  for _, process in ipairs(processes) do
    if process ~= ARGV[2] then sum = sum + (tonumber(redis.call('HGET', ARGV[1] .. process, ARGV[i])) or 0) end
  end
  if sum > tonumber(ARGV[i + 2]) then return (i - 4) / 3 end
end
for i = 4, #ARGV, 3 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
return -1`;

/** KEYS: processes, own places. ARGV: own name, TTL, the mark that `tellAll` left: without it something is missing. */
const KEEP = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
if redis.call('HGET', KEYS[2], '') ~= ARGV[3] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1`;

/**
 * Places in Redis, whose package is loaded only now.
 * @param process its name, the same after a restart: so its places are free as soon as it is back
 * @param namespace keeps installations on one Redis apart
 */
export async function openRedisPlaces(url: string, namespace: string, process: string): Promise<SharedPlaces> {
  const redis = await openSharedRedis(url);
  const prefix = `tyrum:${namespace}:places:`;
  const [processes, own] = [`tyrum:${namespace}:processes`, prefix + process];
  // Another start of this name, or a Redis that lost everything, leaves another mark or none.
  const mark = randomUUID();
  const write = async (first: readonly string[][], holdings: readonly Holding[]): Promise<void> => {
    const commands = holdings.map(({ name, own: sum }) =>
      sum > 0 ? ['hset', own, name, String(sum)] : ['hdel', own, name],
    );
    const all = [...first, ...commands, ['pexpire', own, String(PLACES_TTL_MS)]];
    for (let i = 0; i < all.length; i += CHUNK) {
      const answers = (await redis.pipeline(all.slice(i, i + CHUNK)).exec()) ?? [];
      const failed = answers.find(([error]) => error)?.[0];
      if (failed) throw failed;
    }
  };
  const keep = async (): Promise<boolean> =>
    Number(await redis.eval(KEEP, 2, processes, own, process, PLACES_TTL_MS, mark)) === 1;
  return {
    async take(wanted) {
      const caps = wanted.flatMap(({ name, own: sum, limit }) => [name, sum, limit]);
      const full = Number(await redis.eval(TAKE, 2, processes, own, prefix, process, PLACES_TTL_MS, ...caps));
      return full < 0 ? undefined : full;
    },
    tell: (changed) => write([], changed),
    async tellAll(holdings) {
      const anew = [
        ['del', own],
        ['hset', own, '', mark],
      ];
      await write(anew, holdings);
      // Only from then on they count.
      await keep();
    },
    keep,
    close() {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}
