import { randomUUID } from 'node:crypto';
import { AdaptivePoll, openRedisBackplane } from '@tyrum/backplane';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { appendEvents } from './append-events';
import { OutboxReader } from './outbox-reader';
import { OutboxTail } from './outbox-tail';
import { testEvent } from './testing';

/** Events of each part of a run. */
const LEAST = 10;
/** The longest pause of a poll, and room for a machine that is busy with other tests. */
const POLL_MS = 500;
const SLACK_MS = 2_500;
/**
 * Without polling, what was committed first would be this late. `npm run test:redis-outage` has it last a minute, as long as a
 * Redis takes that is moved to another machine.
 */
const OUTAGE_MS = Number(process.env['TYRUM_TEST_REDIS_OUTAGE_MS'] ?? 5_000);

describeOnBothDialects('the outbox while Redis is in trouble', (stores) => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await startOwnRedis();
  });
  afterAll(() => server.stop());

  it.each([
    ['killed', async () => server.kill('SIGKILL'), async () => server.start()],
    ['flushed', flush, async () => undefined],
    ['paused', async () => server.kill('SIGSTOP'), async () => server.kill('SIGCONT')],
    [
      'restarted with an evicting policy',
      async () => {
        await server.kill('SIGKILL');
        await server.start(['--maxmemory', '20mb', '--maxmemory-policy', 'allkeys-lru']);
      },
      async () => {
        await server.kill('SIGKILL');
        await server.start();
      },
    ],
  ])('loses nothing under load and is no later than its poll: %s', async (_what, breakIt, mend) => {
    const store = await stores().open();
    const reader = new OutboxReader(store);
    const namespace = randomUUID();
    const open = () => openRedisBackplane({ url: server.url, namespace, heartbeatMs: 200 });
    const [writer, follower] = [await open(), await open()];
    const committedAt = new Map<string, number>();
    const lateness: number[] = [];
    const followed = new Set<string>();
    const worked = new Set<string>();
    const note = (seen: Set<string>, ids: readonly string[]) => {
      for (const id of ids) {
        if (seen.has(id)) continue;
        seen.add(id);
        lateness.push(performance.now() - (committedAt.get(id) ?? performance.now()));
      }
    };
    const tail = new OutboxTail(reader, follower, {
      onEvents: (events) =>
        note(
          followed,
          events.map((event) => event.eventId),
        ),
      onError: () => {},
      maxPauseMs: POLL_MS,
    });
    // As a worker does: woken for `work`, asking the database.
    let place = await reader.head();
    const poll = new AdaptivePoll(
      async () => {
        const page = await reader.readAfter(place, 100);
        place = page.position;
        note(
          worked,
          page.events.map((event) => event.eventId),
        );
        return { more: page.events.length === 100, ...(page.waiting ? { nextDueInMs: 5 } : {}) };
      },
      { backplane: follower, onError: () => {}, maxMs: POLL_MS },
    );
    follower.subscribe('work', () => poll.wake());
    await tail.start();
    poll.start();
    const commit = async (): Promise<void> => {
      const event = testEvent();
      await store.transaction((tx) => appendEvents(tx, [event]));
      committedAt.set(event.eventId, performance.now());
      writer.publish('outbox');
      writer.publish('work');
    };
    /** For so long, and however slow the machine is, as many as prove something. */
    const commitFor = async (ms: number): Promise<void> => {
      const until = performance.now() + ms;
      for (let made = 0; made <= LEAST || performance.now() < until; made += 1) {
        await commit();
        await new Promise(setImmediate);
      }
    };
    let isBroken = false;
    try {
      await commitFor(300);
      isBroken = true;
      await breakIt();
      await commitFor(OUTAGE_MS);
      await mend();
      isBroken = false;
      await commitFor(300);
      await eventually(() => {
        expect(followed.size).toBe(committedAt.size);
        expect(worked.size).toBe(committedAt.size);
      });
      expect(Math.max(...lateness)).toBeLessThan(POLL_MS + SLACK_MS);
      expect(committedAt.size).toBeGreaterThan(3 * LEAST);
      await eventually(() => expect([writer.healthy, follower.healthy]).toEqual([true, true]));
    } finally {
      if (isBroken) await mend();
      await Promise.all([tail.stop(), poll.stop()]);
      await Promise.all([writer.close(), follower.close()]);
    }
  });

  async function flush(): Promise<void> {
    const { connect } = await import('node:net');
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ port: server.port, host: '127.0.0.1' }, () => socket.write('FLUSHALL\r\n'));
      socket.once('data', () => resolve(void socket.destroy()));
      socket.once('error', reject);
    });
  }
});
