import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { Driver } from './driver';
import { sample, type Started } from './idle';

const CHANNEL = 'bare_idle';
const STARTED_TIMEOUT_MS = 20_000;

/**
 * The least that a durable queue does between two processes, with nothing around it: a row inserted and announced in one
 * statement, and taken in another by who listens, each with its commit. What the machine and its Postgres allow of W4.
 */
export const bareIdle: Driver = async ({ database, number, optional, sibling }) => {
  const client = new Client({ connectionString: database.address });
  await client.connect();
  await client.query(`create table bare_job (id uuid primary key, body text not null, state text not null)`);
  await client.query(`create index on bare_job (id) where state = 'ready'`);
  const worker = sibling('bareIdleWorker');
  await worker.next();
  const accept = {
    name: 'accept',
    text: `with job as (insert into bare_job values ($1, $2, 'ready') returning id) select pg_notify('${CHANNEL}', '') from job`,
  };
  const latencies = await sample(
    number,
    async (id) => {
      const started = worker.next<Started>(STARTED_TIMEOUT_MS);
      const askedAt = process.hrtime.bigint();
      await client.query({ ...accept, values: [id, randomUUID()] });
      const { id: ran, at } = await started;
      if (ran !== id) throw new Error(`${ran} started while ${id} was waited for`);
      return Number(BigInt(at) - askedAt) / 1e6;
    },
    optional('withoutPauses') !== 1,
  );
  worker.send({ kind: 'stop' });
  await worker.exited;
  await client.end();
  return latencies;
};

/** The other process of `bareIdle`. */
export const bareIdleWorker: Driver = async ({ database }) => {
  const clients = [0, 1].map(() => new Client({ connectionString: database.address }));
  const [listener, taker] = clients as [Client, Client];
  await Promise.all(clients.map((client) => client.connect()));
  const take = {
    name: 'take',
    text: `update bare_job set state = 'taken' where id in (
      select id from bare_job where state = 'ready' limit 50 for update skip locked) returning id`,
  };
  listener.on('notification', () => {
    void taker.query<{ id: string }>(take).then(({ rows }) => {
      const at = process.hrtime.bigint().toString();
      for (const { id } of rows) process.send?.({ id, at } satisfies Started);
    });
  });
  await listener.query(`listen ${CHANNEL}`);
  const stop = new Promise((resolve) => process.once('message', resolve));
  process.send?.({ ready: true });
  await stop;
  await Promise.all(clients.map((client) => client.end()));
  return {};
};
