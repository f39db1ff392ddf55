import { openStateStore, PostgresNotifications } from '@tyrum/statestore';
import { createPostgresDatabase, eventually, startOwnPostgres, type TestDatabase } from '@tyrum/test-services';
import type { Backplane } from './backplane';
import { PostgresBackplane } from './postgres-backplane';
import { describeBackplane } from './testing';

let database: TestDatabase;
const opened: Backplane[] = [];

beforeEach(async () => {
  database = await createPostgresDatabase();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((backplane) => backplane.close()));
  await database.drop();
});

async function open(url: string, onError?: (error: unknown) => void): Promise<Backplane> {
  const backplane = new PostgresBackplane(new PostgresNotifications({ url, onError }));
  opened.push(backplane);
  await eventually(() => expect(backplane.healthy).toBe(true));
  return backplane;
}

/** Ends the sessions of this test's backplanes on the server, as an administrator would. */
async function cut(): Promise<void> {
  const store = await openStateStore({ kind: 'postgres', url: database.url }, { poolSize: 1 });
  const terminate = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'tyrum-notifications' and datname = current_database()`;
  expect(await store.execute({ name: 'terminate', postgres: terminate, sqlite: '' })).not.toEqual([]);
  await store.close();
}

describeBackplane('PostgresBackplane', () => ({
  open: () => open(database.url),
  cut,
  maxPayloadBytes: 60_000,
}));

describe('PostgresBackplane', () => {
  it('has wake-ups travel with a COMMIT, and sends those it has sent just before at the end of the window', async () => {
    const store = await openStateStore({ kind: 'postgres', url: database.url }, { poolSize: 1 });
    const [from, to] = [await open(database.url), await open(database.url)];
    const received: string[] = [];
    for (const topic of ['work', 'outbox'] as const) to.subscribe(topic, () => received.push(topic));
    const here: string[] = [];
    from.subscribe('work', () => here.push('work'));

    const tell = await store.transaction((tx) => Promise.resolve(from.publishBehind(tx, ['work', 'outbox'])));
    // Nobody but the transaction has told them.
    await eventually(() => expect(received).toEqual(['work', 'outbox']));
    expect(here).toEqual([]);
    tell();
    expect(here).toEqual(['work']);

    const left: string[][] = [];
    const commit = { notifyBehind: (_channel: string, texts: readonly string[]) => left.push([...texts]) > 0 };
    const [first, second] = [from.publishBehind(commit, ['work']), from.publishBehind(commit, ['work', 'timers'])];
    expect(left.map((texts) => texts.map((text) => (JSON.parse(text) as { topic: string }).topic))).toEqual([
      ['work'],
      ['timers'],
    ]);
    first();
    second();
    expect(here).toEqual(['work', 'work', 'work']);
    await eventually(() => expect(received).toEqual(['work', 'outbox', 'work']));

    let lose: () => void = () => undefined;
    const losing = { notifyBehind: (_channel: string, _texts: unknown, lost: () => void) => ((lose = lost), true) };
    from.publishBehind(losing, ['nodes'])();
    const nodes: string[] = [];
    to.subscribe('nodes', () => nodes.push('nodes'));
    lose();
    await eventually(() => expect(nodes).toEqual(['nodes']));
    await store.close();
  });

  it('outlives junk on its channel', async () => {
    const [from, to] = [await open(database.url), await open(database.url)];
    const received: (string | undefined)[] = [];
    to.subscribe('work', (payload) => received.push(payload));
    const stranger = new PostgresNotifications({ url: database.url });
    await eventually(() => expect(stranger.connected).toBe(true));
    for (const junk of [
      '',
      '{',
      'null',
      '[]',
      '{"from":1,"topic":"work"}',
      '{"from":"x","topic":"work","payload":{}}',
      '{"from":"x","topic":"work","part":[1,0],"payload":"eA=="}',
      '{"from":"x","topic":"work","part":[1,1,2],"payload":"eA=="}',
      '{"from":"y","topic":"work","part":[1,0,2],"payload":"eA=="}',
      '{"from":"y","topic":"work","part":[2,1,2],"payload":"eA=="}',
    ]) {
      expect(await stranger.notify('tyrum_backplane', junk)).toBe(true);
    }
    from.publish('work', 'good');
    await eventually(() => expect(received).toEqual(['good']));
    await stranger.close();
  });

  it('waits for a server that is away, however long, and drops instead of queueing', async () => {
    const server = await startOwnPostgres({ fsync: 'off' });
    try {
      const errors: unknown[] = [];
      const [from, to] = [await open(server.url, (error) => errors.push(error)), await open(server.url)];
      const received: (string | undefined)[] = [];
      to.subscribe('work', (payload) => received.push(payload));
      await server.stopImmediate();
      await eventually(() => expect([from.healthy, to.healthy]).toEqual([false, false]));
      for (let i = 0; i < 10; i += 1) from.publish('work', 'lost');
      expect(from.dropped).toBe(10);
      await eventually(() => expect(errors.length).toBeGreaterThanOrEqual(3));
      await server.start();
      await eventually(() => expect([from.healthy, to.healthy]).toEqual([true, true]), { timeoutMs: 20_000 });
      from.publish('work', 'back');
      await eventually(() => expect(received).toEqual(['back']));
    } finally {
      await Promise.all(opened.splice(0).map((backplane) => backplane.close()));
      await server.stop();
    }
  });
});
