import { eventually } from '@tyrum/test-services';
import type { Backplane, Topic } from '../backplane';

/** One installation's backplane, as several processes see it. */
export interface BackplaneUnderTest {
  /** Opens it as one more process would, ready to receive. Closed with the test. */
  open(): Promise<Backplane>;
  /** Cuts every connection that is open now. Absent where there is nothing to cut. */
  cut?(): Promise<void>;
  /** The longest payload that is carried between processes, in bytes. Infinite within one. */
  readonly maxPayloadBytes: number;
}

/**
 * What every backplane owes. In one process there is only one of it: there, `open` returns the same backplane again, and
 * "another process" is another subscriber.
 */
export function describeBackplane(name: string, current: () => BackplaneUnderTest): void {
  describe(name, () => {
    it('delivers to subscribers of the same process before publish returns, exactly once', async () => {
      const backplane = await current().open();
      const received = collect(backplane, 'work');
      backplane.publish('work', 'a');
      expect(received).toEqual(['a']);
      const other = await current().open();
      const elsewhere = collect(other, 'work');
      backplane.publish('work', 'b');
      await eventually(() => expect(elsewhere).toEqual(['b']));
      expect(received).toEqual(['a', 'b']);
    });

    it('delivers payloads to other processes in the order of publishing', async () => {
      const [from, to] = [await current().open(), await current().open()];
      const received = collect(to, 'stream');
      const sent = Array.from({ length: 100 }, (_, i) => JSON.stringify({ piece: i, text: '"ü\n' }));
      for (const payload of sent) from.publish('stream', payload);
      await eventually(() => expect(received).toEqual(sent));
    });

    it('keeps topics apart and stops with the subscription', async () => {
      const [from, to] = [await current().open(), await current().open()];
      const [outbox, timers] = [collect(to, 'outbox'), collect(to, 'timers')];
      let calls = 0;
      const stop = to.subscribe('outbox', () => (calls += 1));
      stop();
      from.publish('outbox', 'x');
      await eventually(() => expect(outbox).toEqual(['x']));
      expect(timers).toEqual([]);
      expect(calls).toBe(0);
    });

    it('never loses the last of many wake-ups', async () => {
      const [from, to] = [await current().open(), await current().open()];
      let published = 0;
      let seen = 0;
      to.subscribe('work', () => (seen = published));
      while (published < 1_000) {
        published += 1;
        from.publish('work');
        if (published % 100 === 0) await new Promise(setImmediate);
      }
      // A wake-up that came before the last publish has seen less than all of it.
      await eventually(() => expect(seen).toBe(1_000));
    });

    it('carries long payloads among others, whole and in order', async () => {
      const [from, other, to] = [await current().open(), await current().open(), await current().open()];
      const received = collect(to, 'stream');
      const long = Array.from({ length: 6 }, (_, i) => `${i}:${'ü"\\\u0000\ud83d\ude00'.repeat(2_000)}`);
      const sent = long.flatMap((text, i) => [text, `short ${i}`]);
      // Pieces of two senders come mixed.
      sent.forEach((payload, i) => (i % 4 < 2 ? from : other).publish('stream', payload));
      await eventually(() => expect(received).toHaveLength(sent.length));
      const of = (process: number) => sent.filter((_, i) => (i % 4 < 2 ? 0 : 1) === process);
      for (const process of [0, 1])
        expect(received.filter((text) => of(process).includes(text ?? ''))).toEqual(of(process));
    });

    it('wakes somebody who listens for work, though the publisher does not', async () => {
      const [from, to] = [await current().open(), await current().open()];
      let woken = 0;
      to.subscribe('work', () => (woken += 1));
      from.publish('work');
      await eventually(() => expect(woken).toBeGreaterThanOrEqual(1));
    });

    it('wakes for what a transaction commits, once each topic, when it is told that it is committed', async () => {
      const [from, to] = [await current().open(), await current().open()];
      const [work, outbox] = [collect(to, 'work'), collect(to, 'outbox')];
      const here = collect(from, 'outbox');
      // A commit that carries nothing along.
      const tell = from.publishBehind({ notifyBehind: () => false }, ['work', 'outbox']);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect([work, outbox, here]).toEqual([[], [], []]);
      tell();
      expect(here).toEqual([undefined]);
      await eventually(() => expect([work, outbox]).toEqual([[undefined], [undefined]]));
    });

    it('wakes later, not before', async () => {
      const [from, to] = [await current().open(), await current().open()];
      const startedAt = performance.now();
      const woken = new Promise<number>((resolve) => to.subscribe('work', () => resolve(performance.now())));
      from.wakeLater('work', 150);
      expect((await woken) - startedAt).toBeGreaterThanOrEqual(145);
    });

    it('says what is wrong exactly while it is not healthy', async () => {
      const backplane = await current().open();
      expect([backplane.healthy, backplane.problem]).toEqual([true, undefined]);
      const { cut } = current();
      if (!cut) return;
      const seen = new Set<boolean>();
      const watch = setInterval(() => seen.add(backplane.healthy === (backplane.problem === undefined)), 1);
      let reconnects = 0;
      backplane.onReconnect(() => (reconnects += 1));
      await cut();
      await eventually(() => expect(reconnects).toBeGreaterThanOrEqual(1));
      clearInterval(watch);
      expect([...seen]).toEqual([true]);
    });

    it('carries payloads up to its limit, and drops and counts longer ones', async () => {
      const { maxPayloadBytes } = current();
      if (maxPayloadBytes === Infinity) return;
      const [from, to] = [await current().open(), await current().open()];
      const received = collect(to, 'stream');
      from.publish('stream', 'x'.repeat(maxPayloadBytes * 2));
      expect(from.dropped).toBe(1);
      from.publish('stream', 'y'.repeat(maxPayloadBytes));
      await eventually(() => expect(received).toEqual(['y'.repeat(maxPayloadBytes)]));
      expect(from.dropped).toBe(1);
    });

    it('comes back after its connections were cut, and says that messages may have been missed', async () => {
      const { cut } = current();
      if (!cut) return;
      const [from, to] = [await current().open(), await current().open()];
      const received = collect(to, 'work');
      let reconnects = 0;
      to.onReconnect(() => (reconnects += 1));
      for (let round = 1; round <= 3; round += 1) {
        await cut();
        await eventually(() => expect(reconnects).toBeGreaterThanOrEqual(round));
        await eventually(() => expect([from.healthy, to.healthy]).toEqual([true, true]));
        from.publish('work', `after ${round}`);
        await eventually(() => expect(received).toContain(`after ${round}`));
      }
      expect(received.filter((payload) => payload === 'after 3')).toHaveLength(1);
    });

    it('is quiet after it was closed', async () => {
      const [from, to] = [await current().open(), await current().open()];
      const received = collect(to, 'work');
      await to.close();
      from.publish('work', 'late');
      to.publish('work', 'late');
      expect(received).toEqual([]);
    });
  });
}

function collect(backplane: Backplane, topic: Topic): (string | undefined)[] {
  const received: (string | undefined)[] = [];
  backplane.subscribe(topic, (payload) => received.push(payload));
  return received;
}
