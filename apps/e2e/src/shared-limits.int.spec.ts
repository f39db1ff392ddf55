import { TestClient, TestDevice } from '@tyrum/gateway/testing';
import {
  createPostgresDatabase,
  eventually,
  startOwnRedis,
  type OwnRedis,
  type TestDatabase,
} from '@tyrum/test-services';
import { Deployment } from './deployment';

/** What an edge that crashed holds of the others' connections, in ms: six seconds, and the rest for a loaded machine. */
const FREE_WITHIN_MS = 15_000;

describe('two edges on one Redis', () => {
  let redis: OwnRedis;
  let database: TestDatabase;
  let tyrum: Deployment;
  beforeEach(async () => {
    redis = await startOwnRedis();
    database = await createPostgresDatabase();
    tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url, TYRUM_REDIS_URL: redis.url });
  });
  afterEach(async () => {
    await tyrum.stop();
    await database.drop();
    await redis.stop();
  });

  it('count the connections of one that was killed no longer than a few seconds', async () => {
    const edges = [await tyrum.start('edge'), await tyrum.start('edge')] as const;
    await eventually(() => {
      for (const { logs } of edges) {
        expect(logs.map(({ msg }) => msg)).toContain('caps on connections are kept together with the other edges');
      }
      return Promise.resolve();
    });
    const device = new TestDevice();
    const connect = (edge: { readonly port: number }) =>
      TestClient.connect(`ws://127.0.0.1:${edge.port}/ws`, tyrum.token, { device });
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(edges[0])));
    await expect(connect(edges[1])).rejects.toThrow('1008');
    const gone = Promise.all(clients.map(({ closed }) => closed));
    edges[0].kill('SIGKILL');
    await gone;
    const again = await eventually(() => connect(edges[1]), { timeoutMs: FREE_WITHIN_MS, intervalMs: 100 });
    await again.close();
  });
});
