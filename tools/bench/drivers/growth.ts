import { randomUUID } from 'node:crypto';
import { OutboxReader } from '@tyrum/outbox';
import { DEFAULT_TENANT_ID } from '@tyrum/protocol';
import { Client } from 'pg';
import { Engine } from '../engine';
import { median } from '../statistics';
import type { Driver } from './driver';

const FILL_BATCH = 50_000;
const SMALL = 1_000;
const IN_FLIGHT = 16;
const OUTBOX_READS = 50;
const OUTBOX_PAGE = 200;

/**
 * What accepting and running a turn costs with many stored turns, as a multiple of what it costs with 1,000. The stored
 * ones are finished, with their steps, events and idempotency records, as retention finds them.
 */
export const growth: Driver = async ({ database, number }) => {
  const engine = await Engine.open(database);
  const client = new Client({ connectionString: database.address });
  await client.connect();
  const stored = number('stored');
  await fill(client, 0, SMALL);
  const small = await cost(engine, number('jobs'));
  for (let i = SMALL; i < stored; i += FILL_BATCH) await fill(client, i, Math.min(i + FILL_BATCH, stored));
  await client.query('checkpoint').catch(() => undefined); // a checkpoint of the fill belongs to no measurement
  const big = await cost(engine, number('jobs'));
  await client.end();
  await engine.close();
  return {
    accept_growth: big.accept / small.accept,
    run_growth: big.run / small.run,
    outbox_growth: big.outbox / small.outbox,
    accept_ms: big.accept,
    run_ms: big.run,
    outbox_ms: big.outbox,
  };
};

/** Milliseconds a turn, and a page of the outbox. Warmed up by a tenth of the work before. */
async function cost(engine: Engine, jobs: number) {
  await acceptAll(engine, Math.ceil(jobs / 10));
  await runAll(engine, Math.ceil(jobs / 10));
  const accept = (await acceptAll(engine, jobs)) / jobs;
  const run = (await runAll(engine, jobs)) / jobs;
  const reader = new OutboxReader(engine.store);
  const head = await reader.head();
  await acceptAll(engine, OUTBOX_PAGE);
  const reads: number[] = [];
  for (let i = 0; i < OUTBOX_READS; i += 1) {
    const startedAt = performance.now();
    await reader.readAfter(head, OUTBOX_PAGE);
    reads.push(performance.now() - startedAt);
  }
  await runAll(engine, OUTBOX_PAGE);
  return { accept, run, outbox: median(reads) };
}

async function acceptAll(engine: Engine, jobs: number): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const caller = async (): Promise<void> => {
    while (next < jobs) await engine.accept({ id: randomUUID(), key: `k${next++ % 500}` });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  return performance.now() - startedAt;
}

async function runAll(engine: Engine, jobs: number): Promise<number> {
  let settled = 0;
  const startedAt = performance.now();
  let worker: { stop(): Promise<void> } | undefined;
  await new Promise<void>((resolve, reject) => {
    const onSettled = (): void => {
      settled += 1;
      if (settled === jobs) resolve();
    };
    engine.work(() => undefined, { concurrency: 200, onSettled }).then((running) => (worker = running), reject);
  });
  const elapsedMs = performance.now() - startedAt;
  await worker?.stop();
  return elapsedMs;
}

/** Finished turns number `from` to `to`, twenty a conversation. */
async function fill(client: Client, from: number, to: number): Promise<void> {
  const now = `(extract(epoch from clock_timestamp()) * 1000)::bigint`;
  const tenant = `'${DEFAULT_TENANT_ID}'::uuid`;
  const key = `'agent:default:dm:stored' || (i / 20)`;
  const id = `('00000000-0000-4000-9000-' || lpad(to_hex(i), 12, '0'))::uuid`;
  const series = `generate_series(${from}, ${to - 1}) as i`;
  await client.query(`
    insert into conversation (tenant_id, conversation_key, agent_key, channel, thread_id, title, created_at, updated_at)
      select distinct ${tenant}, ${key}, 'default', 'main', 'stored', '', 0, 0 from ${series} on conflict do nothing;
    insert into conversation_queue (tenant_id, conversation_key, state, last_turn_seq, last_event_seq)
      select distinct ${tenant}, ${key}, 'idle', 20, 40 from ${series} on conflict do nothing;
    insert into turn (tenant_id, turn_id, conversation_key, turn_seq, kind, trigger_kind, status, input, created_at, started_at, finished_at)
      select ${tenant}, ${id}, ${key}, i % 20 + 1, 'workflow', 'workflow', 'succeeded',
        '{"steps":[{"type":"CLI","args":{"cmd":"true","args":[],"effect":"read"}}]}', ${now}, ${now}, ${now} from ${series};
    insert into step (tenant_id, turn_id, step_index, action, effect, status, attempts, result, started_at, finished_at)
      select ${tenant}, ${id}, 0, '{"type":"CLI","args":{"cmd":"true","args":[],"effect":"read"}}', 'read', 'succeeded', 1,
        '{}', ${now}, ${now} from ${series};
    insert into outbox (tenant_id, events, occurred_at)
      select ${tenant}, json_build_array(json_build_object('event_id', gen_random_uuid(), 'type', t, 'scope_kind', 'turn',
        'scope_id', ${id}, 'conversation_key', ${key}, 'conversation_seq', 0, 'turn_id', ${id},
        'payload', json_build_object('turn_id', ${id}))), ${now}
      from ${series}, unnest(array['turn.queued', 'turn.completed']) as t;
    insert into idempotency_record (tenant_id, route, principal, key, fingerprint, status, response, created_at, expires_at)
      select ${tenant}, 'workflow.start', 'bench', 'stored' || i, md5(i::text), 'completed', '{}', ${now}, ${now} + 86400000
      from ${series}`);
  await client.query('analyze');
}
