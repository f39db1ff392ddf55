import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { Engine } from '../engine';
import { percentile } from '../statistics';
import type { Driver, DriverContext, Sibling } from './driver';

const TURNS_A_KILL = 200;
const STEP_MS = 400;
const CONCURRENCY = 20;
const WAIT_MS = 60_000;

/** What a worker tells of a step: `at` is `process.hrtime`, which all processes of a host share. */
interface Seen {
  readonly kind: 'start' | 'end' | 'fenced' | 'lost';
  readonly turn: string;
  readonly at: string;
}

/**
 * Kills a worker in the middle of its steps, again and again, then stops one for longer than its lease and lets it go on.
 * Measures how long the turns it held waited for the other worker, and looks in the database for what must not be there.
 */
export const takeover: Driver = async (context) => {
  const { database, number } = context;
  const engine = await Engine.open(database);
  const waits: number[] = [];
  let accepted = 0;
  let fenced = 0;
  const fill = async (): Promise<void> => {
    const jobs = Array.from({ length: TURNS_A_KILL }, () => ({ id: randomUUID(), key: randomUUID() }));
    await engine.preload(jobs);
    accepted += jobs.length;
  };
  let [victim, other] = [worker(context), worker(context)];
  await Promise.all([victim.ready, other.ready]);
  for (let i = 0; i < number('kills'); i += 1) {
    await fill();
    await victim.busy();
    const held = victim.running();
    const killedAt = process.hrtime.bigint();
    victim.sibling.kill('SIGKILL');
    await victim.sibling.exited;
    for (const turn of held) waits.push(Number((await other.startOf(turn)) - killedAt) / 1e6);
    await untilDone(engine);
    [victim, other] = [other, worker(context)];
    await other.ready;
  }
  if (number('pauseMs') > 0) {
    await fill();
    await victim.busy();
    const held = victim.running();
    const stoppedAt = process.hrtime.bigint();
    victim.sibling.kill('SIGSTOP');
    await pause(number('pauseMs'));
    victim.sibling.kill('SIGCONT');
    for (const turn of held) waits.push(Number((await other.startOf(turn)) - stoppedAt) / 1e6);
    await untilDone(engine);
    await pause(STEP_MS * 2); // what the stopped one still wanted to write it has tried by now
    fenced = victim.refusals();
  }
  for (const each of [victim, other]) {
    each.sibling.send({ kind: 'stop' });
    await each.sibling.exited;
  }
  const found = await inspect(database.address);
  await engine.close();
  return {
    takeover_p50: percentile(waits, 0.5),
    takeover_p99: percentile(waits, 0.99),
    taken_over: waits.length,
    early: waits.filter((wait) => wait < number('ttlMs') * 0.5).length,
    lost: accepted - found.succeeded,
    duplicated: found.endedTwice,
    stale_writes: found.settledTwice,
    refused: fenced,
  };
};

/** The other processes of `takeover`: a worker's loop whose steps take a while. */
export const takeoverWorker: Driver = async ({ database, number }) => {
  const engine = await Engine.open(database);
  const tell = (kind: Seen['kind'], turn: string): void =>
    void process.send?.({ kind, turn, at: process.hrtime.bigint().toString() } satisfies Seen);
  const running = engine.startProcessor(
    {
      handles: () => true,
      execute: async ({ turnId }) => {
        tell('start', turnId);
        await pause(STEP_MS);
        tell('end', turnId);
        return { kind: 'succeeded', result: {} };
      },
    },
    { concurrency: CONCURRENCY },
    number('ttlMs'),
    {
      writeFenced: ({ conversationKey }) => tell('fenced', conversationKey),
      leaseLost: ({ conversationKey }) => tell('lost', conversationKey),
    },
  );
  const stop = new Promise((resolve) => process.once('message', resolve));
  process.send?.({ kind: 'ready' });
  await stop;
  await running.stop();
  await engine.close();
  return {};
};

/** One worker's process and what it has told so far. */
function worker({ sibling }: DriverContext) {
  const child: Sibling = sibling('takeoverWorker');
  const starts = new Map<string, bigint>();
  const open = new Set<string>();
  let refused = 0;
  const changed: (() => void)[] = [];
  const ready = child.next<{ kind: 'ready' }>();
  void ready
    .then(async () => {
      for (;;) {
        const { kind, turn, at } = await child.next<Seen>(WAIT_MS * 10);
        if (kind === 'start') {
          starts.set(turn, BigInt(at));
          open.add(turn);
        } else if (kind === 'end') open.delete(turn);
        else refused += 1;
        for (const wake of changed.splice(0)) wake();
      }
    })
    .catch(() => undefined); // it exited, as it was told
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    const deadline = performance.now() + WAIT_MS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`${what} did not happen in time`);
      await Promise.race([new Promise<void>((resolve) => changed.push(resolve)), pause(100)]);
    }
  };
  return {
    sibling: child,
    ready,
    running: () => [...open],
    refusals: () => refused,
    busy: () => until(() => open.size >= CONCURRENCY / 2, 'a full worker'),
    startOf: async (turn: string): Promise<bigint> => {
      await until(() => starts.has(turn), 'a takeover');
      return starts.get(turn) as bigint;
    },
  };
}

async function untilDone(engine: Engine): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while ((await engine.remaining()) > 0) {
    if (performance.now() > deadline) throw new Error('the turns did not end in time');
    await pause(50);
  }
}

async function inspect(url: string) {
  const client = new Client({ connectionString: url });
  await client.connect();
  const one = async (text: string): Promise<number> => {
    const { rows } = await client.query<{ n: number }>(text);
    return rows[0]?.n ?? 0;
  };
  const twice = (which: string) => `select count(*)::int as n from (
    select 1 from outbox, json_array_elements(events::json) as event
    where ${which} group by event ->> 'turn_id' having count(*) > 1) as twice`;
  const found = {
    succeeded: await one(`select count(*)::int as n from turn where status = 'succeeded'`),
    endedTwice: await one(twice(`event ->> 'type' = 'turn.completed'`)),
    settledTwice: await one(
      twice(`event ->> 'type' = 'tool.lifecycle' and event -> 'payload' ->> 'status' = 'succeeded'`),
    ),
  };
  await client.end();
  return found;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
