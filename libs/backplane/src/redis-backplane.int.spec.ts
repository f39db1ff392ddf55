import { randomUUID } from 'node:crypto';
import { eventually, redisUrl, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { Redis } from 'ioredis';
import type { Backplane } from './backplane';
import { openRedisBackplane } from './open-redis-backplane';
import { EvictionPolicyError, RedisBackplane } from './redis-backplane';
import { describeBackplane } from './testing';

let server: OwnRedis;
let namespace: string;
const opened: Backplane[] = [];

beforeAll(async () => {
  server = await startOwnRedis();
});

afterAll(() => server.stop());

beforeEach(() => {
  namespace = randomUUID();
});

afterEach(() => Promise.all(opened.splice(0).map((backplane) => backplane.close())));

async function open(url = server.url): Promise<Backplane> {
  const backplane = await RedisBackplane.open({ url, namespace, heartbeatMs: 200 });
  opened.push(backplane);
  return backplane;
}

function received(backplane: Backplane): (string | undefined)[] {
  const payloads: (string | undefined)[] = [];
  backplane.subscribe('work', (payload) => payloads.push(payload));
  return payloads;
}

async function command(...args: [string, ...string[]]): Promise<void> {
  const redis = new Redis(server.url);
  await redis.call(...args);
  redis.disconnect();
}

describeBackplane('RedisBackplane', () => ({
  open: () => open(),
  cut: async () => {
    await command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  },
  maxPayloadBytes: 60_000,
}));

describe('RedisBackplane', () => {
  it('hears everything once it is open', async () => {
    for (let i = 0; i < 20; i += 1) {
      const [from, to] = [await open(), await open()];
      const payloads = received(to);
      from.publish('work', `${i}`);
      await eventually(() => expect(payloads).toEqual([`${i}`]), { timeoutMs: 1_000 });
      await Promise.all(opened.splice(0).map((backplane) => backplane.close()));
    }
  });

  it('does not hear other installations on the same Redis', async () => {
    const [ours, same] = [await open(redisUrl()), await open(redisUrl())];
    const theirs = await openRedisBackplane({ url: redisUrl(), namespace: randomUUID() });
    opened.push(theirs);
    const [heardBySame, heardByThem] = [received(same), received(theirs)];
    ours.publish('work', 'ours');
    await eventually(() => expect(heardBySame).toEqual(['ours']));
    theirs.publish('work', 'theirs');
    ours.publish('work', 'last');
    await eventually(() => expect(heardBySame).toEqual(['ours', 'last']));
    expect(heardByThem).toEqual(['theirs']);
  });

  it('opens without a server, and finds it later', async () => {
    await server.kill('SIGKILL');
    const backplane = await open();
    expect(backplane.healthy).toBe(false);
    let reconnects = 0;
    backplane.onReconnect(() => (reconnects += 1));
    await server.start();
    await eventually(() => expect(backplane.healthy).toBe(true));
    expect(reconnects).toBeGreaterThanOrEqual(1);
  });

  it('outlives kill -9 and FLUSHALL, and drops instead of queueing', async () => {
    const [from, to] = [await open(), await open()];
    const payloads = received(to);
    await command('FLUSHALL');
    from.publish('work', 'flushed');
    await eventually(() => expect(payloads).toEqual(['flushed']));
    await server.kill('SIGKILL');
    await eventually(() => expect([from.healthy, to.healthy]).toEqual([false, false]));
    for (let i = 0; i < 10; i += 1) from.publish('work', 'lost');
    // Of its two connections the other may have closed first: what went to this one is found to be lost a moment later.
    await eventually(() => expect(from.dropped).toBe(10));
    await server.start();
    await eventually(() => expect([from.healthy, to.healthy]).toEqual([true, true]));
    from.publish('work', 'back');
    await eventually(() => expect(payloads).toEqual(['flushed', 'back']));
  });

  it('notices a server that hangs, and keeps a bounded number of messages for it', async () => {
    const [from, to] = [await open(), await open()];
    const payloads = received(to);
    await server.kill('SIGSTOP');
    try {
      for (let i = 0; i < 1_500; i += 1) from.publish('work', 'piece');
      expect(from.dropped).toBe(500);
      await eventually(() => expect([from.healthy, to.healthy]).toEqual([false, false]));
    } finally {
      await server.kill('SIGCONT');
    }
    await eventually(() => expect([from.healthy, to.healthy]).toEqual([true, true]));
    from.publish('work', 'back');
    await eventually(() => expect(payloads).toContain('back'));
  });

  it.each([
    ['refuses', 'allkeys-lru', '50mb', true],
    ['refuses', 'volatile-ttl', '50mb', true],
    ['accepts', 'noeviction', '50mb', false],
    ['accepts', 'allkeys-lru', '0', false],
  ])('%s maxmemory-policy %s with maxmemory %s', async (_verb, policy, maxmemory, refused) => {
    await command('CONFIG', 'SET', 'maxmemory-policy', policy);
    await command('CONFIG', 'SET', 'maxmemory', maxmemory);
    try {
      const attempt = open();
      if (refused) await expect(attempt).rejects.toThrow(EvictionPolicyError);
      else expect((await attempt).healthy).toBe(true);
    } finally {
      await command('CONFIG', 'SET', 'maxmemory', '0');
      await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    }
  });

  it('gives a wake-up for work to one of many, and to another one when that has no room', async () => {
    const [from, ...workers] = [await open(), await open(), await open(), await open()];
    const woken = workers.map(() => 0);
    let hasRoom = true;
    workers.forEach((worker, i) =>
      worker.subscribe('work', () => {
        woken[i] = (woken[i] ?? 0) + 1;
        return i === 2 || hasRoom;
      }),
    );
    from.publish('work');
    await eventually(() => expect(woken.reduce((a, b) => a + b)).toBe(1));
    hasRoom = false;
    woken.fill(0);
    for (let round = 1; round <= 8; round += 1) {
      from.publish('work');
      await eventually(() => expect(woken[2]).toBe(round));
    }
  });

  it('wakes later even when who asked for it is gone', async () => {
    const [from, to] = [await open(), await open()];
    let woken = 0;
    to.subscribe('work', () => (woken += 1));
    from.wakeLater('work', 300);
    const askedAt = performance.now();
    await eventually(async () => {
      const redis = new Redis(server.url);
      const delayed = await redis.zcard(`tyrum:${namespace}:work:delayed`);
      redis.disconnect();
      expect(delayed).toBe(1);
    });
    await from.close();
    await eventually(() => expect(woken).toBe(1));
    expect(performance.now() - askedAt).toBeLessThan(900);
  });

  it('keeps no job in Redis once it was taken', async () => {
    const [from, to] = [await open(), await open()];
    let woken = 0;
    to.subscribe('work', () => (woken += 1));
    for (let round = 1; round <= 5; round += 1) {
      from.publish('work');
      await eventually(() => expect(woken).toBeGreaterThanOrEqual(round));
    }
    const redis = new Redis(server.url);
    await eventually(async () => expect(await redis.keys(`tyrum:${namespace}:work:[0-9]*`)).toEqual([]));
    redis.disconnect();
  });

  it('is unhealthy while a server that came back evicts, and works on', async () => {
    const [from, to] = [await open(), await open()];
    const payloads = received(to);
    await server.kill('SIGKILL');
    await eventually(() => expect(from.problem).toBe('Redis cannot be reached'));
    await server.start(['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru']);
    await eventually(() => expect(from.problem).toContain('maxmemory-policy allkeys-lru'));
    expect(from.healthy).toBe(false);
    await eventually(() => {
      from.publish('work', 'still');
      expect(payloads).toContain('still');
    });
    await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await eventually(() => expect([from.healthy, to.healthy]).toEqual([true, true]));
    await server.kill('SIGKILL');
    await server.start();
  });
});
