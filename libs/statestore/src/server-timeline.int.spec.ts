import { createPostgresDatabase, type TestDatabase } from '@tyrum/test-services';
import { StaleServerError } from './errors';
import { describeToken, LEAST_TOKEN } from './lease-token';
import { PostgresStateStore } from './postgres-state-store';
import { ServerTimeline, type TimelineClient } from './server-timeline';
import type { Statement } from './state-store';

const sql = (text: string): Statement => ({ name: 'test', postgres: text, sqlite: '' });

describe('ServerTimeline and data that moved to another cluster', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createPostgresDatabase();
  });

  afterEach(() => database.drop());

  async function onStore<T>(work: (store: PostgresStateStore) => Promise<T>): Promise<T> {
    const store = await PostgresStateStore.open({ url: database.url, poolSize: 2 });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  const nextToken = async (store: PostgresStateStore) => {
    const [row] = await store.execute<{ token: number }>(sql(`select ${LEAST_TOKEN} + 1 as token`));
    return describeToken(row?.token ?? 0);
  };
  const epoch = (store: PostgresStateStore) => store.execute(sql('select epoch from outbox_epoch'));

  it('counts on from the highest timeline that the cluster before had, once', async () => {
    const own = await onStore(nextToken);
    const before = await onStore(epoch);
    await onStore((store) => store.execute(sql(`update server_timeline set identity = 'another', highest = 7`)));
    const [moved, after] = await onStore(async (store) => [await nextToken(store), await epoch(store)]);
    expect(moved).toBe(`${7 + Number(own.split('.')[0])}.1`);
    expect(after).not.toEqual(before);
    expect(await onStore(nextToken)).toBe(moved);
    expect(await onStore(epoch)).toEqual(after);
  });
});

describe('ServerTimeline', () => {
  const answering = (identity: string, timeline: number): TimelineClient => ({
    query: () => Promise.resolve({ rows: [{ identity, timeline: String(timeline), standby: timeline === 0 }] }),
  });
  const refusal = (attempt: Promise<void>) =>
    attempt.then(
      () => undefined,
      (error: unknown) => (error as StaleServerError).refusal,
    );

  it('takes the server it knows and a later one, and nothing else', async () => {
    const timeline = new ServerTimeline();
    await timeline.admit(answering('a', 5));
    expect(timeline.highest).toBe(0);
    const first = answering('a', 2);
    await timeline.begin(first);
    expect(timeline.isBehind(first)).toBe(false);
    expect(await refusal(timeline.admit(answering('a', 2)))).toBeUndefined();
    expect(await refusal(timeline.admit(answering('a', 1)))).toBe('older_timeline');
    expect(await refusal(timeline.admit(answering('a', 0)))).toBe('standby');
    expect(await refusal(timeline.admit(answering('b', 3)))).toBe('other_cluster');
    expect(timeline.isBehind(first)).toBe(false);
    expect(await refusal(timeline.admit(answering('a', 3)))).toBeUndefined();
    expect(timeline.isBehind(first)).toBe(true);
    expect(await refusal(timeline.admit(answering('a', 2)))).toBe('older_timeline');
  });

  it('begins with no standby', async () => {
    expect(await refusal(new ServerTimeline().begin(answering('a', 0)))).toBe('standby');
  });
});
