import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { percentile } from '../statistics';
import type { Driver } from './driver';

/**
 * What the machine and its Postgres can do at all, whatever is built on it: rows of a table with a primary key and nothing
 * else, `batch` a commit, on so many connections that wait for their answers.
 */
export const rawInserts: Driver = async ({ database, number }) => {
  const [connections, batch, durationMs] = [number('connections'), number('batch'), number('durationMs')];
  const clients = Array.from({ length: connections }, () => new Client({ connectionString: database.address }));
  await Promise.all(clients.map((client) => client.connect()));
  await clients[0]?.query('create table raw_row (id uuid primary key, body text not null)');
  const latencies: number[] = [];
  const startedAt = performance.now();
  const insertAll = async (client: Client): Promise<void> => {
    for (let now = startedAt; now - startedAt < durationMs;) {
      const ids = Array.from({ length: batch }, () => randomUUID());
      await client.query({
        name: 'insert',
        text: `insert into raw_row (id, body) select id, 'a body of sixty characters, which is what many small inputs take' from unnest($1::uuid[]) id`,
        values: [ids],
      });
      const done = performance.now();
      latencies.push(done - now);
      now = done;
    }
  };
  await Promise.all(clients.map(insertAll));
  const elapsedMs = performance.now() - startedAt;
  await Promise.all(clients.map((client) => client.end()));
  return { rate: (latencies.length * batch) / (elapsedMs / 1_000), p50: percentile(latencies, 0.5) };
};
