import { randomUUID } from 'node:crypto';
import { percentile } from '../statistics';
import type { Driver } from './driver';

const SETTLE_MS = 300;
const HANDLER_TIMEOUT_MS = 20_000;

export interface Started {
  readonly id: string;
  /** `process.hrtime`, which all processes of a host share, as text: it does not fit a number. */
  readonly at: string;
}

/**
 * How long an idle system takes from the call that adds a job to the start of its handler in another process. One job at
 * a time, with a pause of random length in between.
 */
export const idle: Driver = async ({ contender, database, number, sibling }) => {
  const opened = await contender.open({ database, role: 'producer' });
  const worker = sibling('idleWorker');
  await worker.next();
  await pause(SETTLE_MS);
  const latencies = await sample(number, async (id, i) => {
    const started = worker.next<Started>(HANDLER_TIMEOUT_MS);
    const askedAt = process.hrtime.bigint();
    await opened.accept({ id, key: `k${i % 10}` });
    const { id: ran, at } = await started;
    if (ran !== id) throw new Error(`${ran} started while ${id} was waited for`);
    return Number(BigInt(at) - askedAt) / 1e6;
  });
  worker.send({ kind: 'stop' });
  await worker.exited;
  await opened.close();
  return latencies;
};

/** The other process of `idle`. */
export const idleWorker: Driver = async ({ contender, database }) => {
  const opened = await contender.open({ database, role: 'worker' });
  const stop = new Promise((resolve) => process.once('message', resolve));
  const worker = await opened.work(
    ({ id }) => void process.send?.({ id, at: process.hrtime.bigint().toString() } satisfies Started),
    { concurrency: 10 },
  );
  process.send?.({ ready: true });
  await stop;
  await worker.stop();
  await opened.close();
  return {};
};

/** The same within one process, as a single host runs it. */
export const idleInProcess: Driver = async ({ contender, database, number }) => {
  const opened = await contender.open({ database, role: 'all' });
  let started: (at: number) => void = () => undefined;
  const worker = await opened.work(() => started(performance.now()), { concurrency: 10 });
  await pause(SETTLE_MS);
  const latencies = await sample(number, async (id, i) => {
    const start = new Promise<number>((resolve) => (started = resolve));
    const askedAt = performance.now();
    await opened.accept({ id, key: `k${i % 10}` });
    return (await start) - askedAt;
  });
  await worker.stop();
  await opened.close();
  return latencies;
};

/**
 * Measures one job after another. Those before, without pauses, are not counted: a system that is idle has been up for a while,
 * and a process that has just started still interprets its code. `pauses`: none for what the same costs a busy system.
 */
export async function sample(
  number: (name: string) => number,
  measure: (id: string, i: number) => Promise<number>,
  pauses = true,
): Promise<{ p50: number; p99: number; max: number }> {
  const warmUntil = performance.now() + number('warmupMs');
  for (let i = 0; i < number('warmup') && performance.now() < warmUntil; i += 1) await measure(randomUUID(), i);
  const latencies: number[] = [];
  for (let i = 0; i < number('samples'); i += 1) {
    if (pauses) await pause(10 + Math.random() * 30);
    latencies.push(await measure(randomUUID(), i));
  }
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), max: Math.max(...latencies) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
