import { randomUUID } from 'node:crypto';
import { LocalBackplane, openRedisBackplane, type Topic } from '@tyrum/backplane';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually, startOwnRedis, type OwnRedis } from '@tyrum/test-services';
import { cliStep, ScriptedExecutor, TestEngine } from './testing';

const CONVERSATION = 'agent:default:main';
const DUE_MS = 300;
/** A poll that finds nothing looks 3.1 s after it began, and then 3 s later: the turn falls due in between. */
const BETWEEN_LOOKS_MS = 3_500;

/** Waits for what never comes, for so long. */
const waiter = (timeoutMs: number) =>
  new ScriptedExecutor(() => Promise.resolve({ kind: 'waiting', wait: { kind: 'signal', id: 'never', timeoutMs } }));

describeOnBothDialects('a turn that waits for a time', (stores) => {
  it('has a wake-up sent for when it is due, once it is written, and none for what ended', async () => {
    class Recording extends LocalBackplane {
      readonly asked: [Topic, number][] = [];
      override wakeLater(topic: Topic, delayMs: number): void {
        this.asked.push([topic, delayMs]);
      }
    }
    const backplane = new Recording();
    const engine = new TestEngine(await stores().open(), backplane);
    try {
      engine.process(waiter(DUE_MS));
      const turn = await engine.start(CONVERSATION, [cliStep('a')]);
      await eventually(async () => {
        expect((await engine.reader.get(DEFAULT_TENANT_ID, turn))?.turn.status).toBe('failed');
      });
      expect(backplane.asked).toEqual([['work', DUE_MS]]);
    } finally {
      await engine.stop();
    }
  });

  describe('with Redis between the workers', () => {
    let server: OwnRedis;
    beforeAll(async () => {
      server = await startOwnRedis();
    });
    afterAll(() => server.stop());

    it('is started at its time by another worker, which had looked before and sleeps, when its own is gone', async () => {
      const namespace = randomUUID();
      const planes = await Promise.all([1, 2].map(() => openRedisBackplane({ url: server.url, namespace })));
      const [parking, waiting] = await Promise.all(
        planes.map(async (plane) => new TestEngine(await stores().open(), plane)),
      );
      if (!parking || !waiting) throw new Error('there are two');
      try {
        parking.process(waiter(BETWEEN_LOOKS_MS));
        const turn = await parking.start(CONVERSATION, [cliStep('a')]);
        const status = async () => (await waiting.reader.get(DEFAULT_TENANT_ID, turn))?.turn.status;
        await eventually(async () => expect(await status()).toBe('paused'));
        const dueAt = performance.now() + BETWEEN_LOOKS_MS;
        await parking.stop();
        const wakeUps: number[] = [];
        planes[1]?.subscribe('work', () => void wakeUps.push(performance.now()));
        // It looks the first time now, knows the time, and is told to forget it: only a wake-up can make it look in time.
        const sleeper = jest
          .spyOn(waiting.turns, 'msUntilDue')
          .mockResolvedValue({ any: undefined, later: undefined, capped: false });
        const wokenAt = () => wakeUps.find((at) => at >= dueAt - 500);
        // Nor does a look of its own that comes late, on a busy machine, find what has fallen due.
        const claim = waiting.turns.claim.bind(waiting.turns);
        jest
          .spyOn(waiting.turns, 'claim')
          .mockImplementation((...how) => (wokenAt() === undefined ? Promise.resolve([]) : claim(...how)));
        waiting.process(waiter(BETWEEN_LOOKS_MS));
        await eventually(async () => expect(await status()).toBe('failed'), { timeoutMs: 20_000, intervalMs: 20 });
        sleeper.mockRestore();
        // When the wake-up comes is up to the machine as well; what it makes the worker do is not.
        expect(performance.now() - (wokenAt() ?? 0)).toBeLessThan(2_000);
      } finally {
        await waiting.stop();
        await Promise.all(planes.map((plane) => plane.close()));
      }
    });
  });
});
