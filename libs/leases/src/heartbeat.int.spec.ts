import { beatFrom, type StateStore } from '@tyrum/statestore';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { eventually } from '@tyrum/test-services';
import { Heartbeat } from './heartbeat';
import { readInstances } from './instances';

describeOnBothDialects('heartbeats', (stores) => {
  let store: StateStore;
  const beats: Heartbeat[] = [];

  beforeEach(async () => {
    store = await stores().open();
  });
  afterEach(() => Promise.all(beats.splice(0).map((beat) => beat.stop())));

  const begin = async (instanceId: string, beatMs: number, on = store) => {
    const about = { instanceId, app: 'worker', roles: ['worker'], version: '1', beatMs };
    const onError = (error: unknown) => {
      throw error;
    };
    const beat = new Heartbeat(on, { ...about, report: () => ({ backplane: null }), onError });
    await beat.start();
    beats.push(beat);
    return beat;
  };
  const seen = async () =>
    (await store.read(readInstances)).map(({ instance_id, state, stale }) => [instance_id, stale ? 'stale' : state]);

  it('tell who is there, who stops, and no more of who has ended', async () => {
    const a = await begin('a', 200);
    await begin('b', 200, await stores().open());
    await eventually(async () =>
      expect(await seen()).toEqual([
        ['a', 'ready'],
        ['b', 'ready'],
      ]),
    );
    await a.drain();
    expect(await seen()).toEqual([
      ['a', 'draining'],
      ['b', 'ready'],
    ]);
    await a.stop();
    expect(await seen()).toEqual([['b', 'ready']]);
  });

  it('show who fell silent as stale, until others forget it', async () => {
    await begin('a', 200);
    // Longer than the test: it beats once and is then as one that was killed.
    await begin('silent', 1_000_000);
    const text = (by: number) => `update instance set last_seen_at = last_seen_at - ${by} where instance_id = 'silent'`;
    const age = (by: number) => store.execute({ name: 'age', postgres: text(by), sqlite: text(by) });
    await age(3_100_000);
    expect(await seen()).toContainEqual(['silent', 'stale']);
    await age(10_000_000);
    await eventually(async () => expect(await seen()).toEqual([['a', 'ready']]));
  });

  it('ride on another statement where one is due, and keep when the process began', async () => {
    const beat = await begin('a', 400);
    const began = (await store.read(readInstances))[0]?.started_at;
    expect(beat.rider()).toBeUndefined();
    if (store.dialect === 'sqlite') return;
    const params = await eventually(() => {
      const rider = beat.rider();
      expect(rider).toBeDefined();
      return Promise.resolve(rider ?? []);
    });
    expect(beat.rider()).toBeUndefined();
    const before = (await store.read(readInstances))[0]?.last_seen_at ?? 0;
    const postgres = `with ${beatFrom(1)} select 7 as n`;
    expect(await store.execute({ name: 'with-beat', postgres, sqlite: '' }, params)).toEqual([{ n: 7 }]);
    const [after] = await store.read(readInstances);
    expect(after?.last_seen_at).toBeGreaterThan(before);
    expect(after?.started_at).toBe(began);
  });
});
