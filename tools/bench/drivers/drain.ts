import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Job, OpenContender, RunningWorker } from '../contender';
import { percentile } from '../statistics';
import type { Driver, DriverContext } from './driver';

const PRELOAD_BATCH = 5_000;
const REMAINING_POLL_MS = 5;
const DEADLINE_MS = 170_000;

/**
 * How many jobs a second a worker runs to their durable end, from a full queue. Nothing is added meanwhile. The first jobs (`warmup`) are not
 * counted: the code of a process that has just started is interpreted, and compiled meanwhile.
 */
export const drain: Driver = async (context) => {
  const jobs = makeJobs(context);
  const { measured } = await runAll(context, jobs);
  return measured;
};

/**
 * The same with keys: jobs of one key one at a time and in order. Also how long the busiest key had to wait between two of
 * its jobs, as a share of what an equal turn for everybody would come to.
 */
export const keyed: Driver = async (context) => {
  const jobs = makeJobs(context);
  const { measured, starts, elapsedMs } = await runAll(context, jobs);
  const order = new Map(jobs.map((job, i) => [job.id, i]));
  const lastOf = new Map<string, number>();
  let outOfOrder = 0;
  for (const { job } of starts) {
    const place = order.get(job.id) as number;
    if ((lastOf.get(job.key ?? '') ?? -1) > place) outOfOrder += 1;
    lastOf.set(job.key ?? '', place);
  }
  const hot = starts.filter(({ job }) => job.key === 'k0').map(({ at }) => at);
  const gaps = hot.slice(1).map((at, i) => at - (hot[i] as number));
  const fair = (elapsedMs / jobs.length) * context.number('keys');
  return {
    ...measured,
    out_of_order: outOfOrder,
    hot_wait_p99: gaps.length > 0 ? percentile(gaps, 0.99) : 0,
    hot_wait_share: gaps.length > 0 ? percentile(gaps, 0.99) / fair : 0,
  };
};

/** Jobs of several steps, each step's result durable before the next begins. */
export const steps: Driver = async (context) => {
  const count = context.number('steps');
  const jobs = makeJobs(context).map((job) => ({ ...job, steps: count }));
  const { measured, starts, settledAt, countFrom } = await runAll(context, jobs, count);
  const begun = new Map<string, number>();
  for (const { job, step, at } of starts) {
    if (step === 0 && at >= countFrom && !begun.has(job.id)) begun.set(job.id, at);
  }
  const took = [...settledAt].flatMap(([id, at]) => (begun.has(id) ? [at - (begun.get(id) as number)] : []));
  return {
    ...measured,
    ...(took.length > 0 ? { turn_p50: percentile(took, 0.5), turn_p99: percentile(took, 0.99) } : {}),
  };
};

interface Start {
  readonly job: Job;
  readonly step: number;
  readonly at: number;
}

async function runAll({ contender, database, number, optional }: DriverContext, jobs: readonly Job[], stepCount = 1) {
  const warmup = optional('warmup') ?? 0;
  const keyedJobs = jobs.some((job) => job.key !== undefined);
  const concurrency = number('concurrency');
  const opened = await contender.open({ database, role: 'all', keyed: keyedJobs, concurrency });
  for (let i = 0; i < jobs.length; i += PRELOAD_BATCH) await opened.preload(jobs.slice(i, i + PRELOAD_BATCH));
  const starts: Start[] = [];
  const settledAt = new Map<string, number>();
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  let cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let countFrom = startedAt;
  let worker: RunningWorker | undefined;
  const allStarted = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${starts.length} of ${jobs.length} ran in time`)), DEADLINE_MS);
    const handler = (job: Job, step: number): void => {
      starts.push({ job, step, at: performance.now() });
      if (starts.length === warmup * stepCount) {
        countFrom = performance.now();
        cpuBefore = process.cpuUsage();
        loop.reset();
      }
      if (starts.length === jobs.length * stepCount) {
        clearTimeout(timer);
        resolve();
      }
    };
    const onSettled = (id: string) => void settledAt.set(id, performance.now());
    opened
      .work(handler, { concurrency, onSettled, keyed: keyedJobs, steps: stepCount })
      .then((running) => (worker = running), reject);
  });
  await allStarted;
  await untilNoneRemains(opened);
  const endedAt = performance.now();
  const cpu = process.cpuUsage(cpuBefore);
  loop.disable();
  await worker?.stop();
  await opened.close();
  const measured = {
    rate: (jobs.length - warmup) / ((endedAt - countFrom) / 1_000),
    ran_twice: starts.length - jobs.length * stepCount,
    loop_delay_p99: loop.percentile(99) / 1e6,
    js_cpu_share: (cpu.user + cpu.system) / 1_000 / (endedAt - countFrom),
  };
  return { measured, starts, settledAt, countFrom, elapsedMs: endedAt - startedAt };
}

async function untilNoneRemains(opened: OpenContender): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const left = await opened.remaining();
    if (left === 0) return;
    if (performance.now() > deadline) throw new Error(`${left} jobs never ended`);
    await new Promise((resolve) => setTimeout(resolve, REMAINING_POLL_MS));
  }
}

/** `spread` says how jobs lie on keys: `none`, `uniform` in turn, or `zipf` with the first key the busiest. */
function makeJobs({ number, optional, text }: DriverContext): Job[] {
  const [count, keys, spread] = [number('jobs') + (optional('warmup') ?? 0), number('keys'), text('spread')];
  const pick = spread === 'zipf' ? zipf(keys) : (i: number) => i % keys;
  return Array.from({ length: count }, (_, i) => {
    const id = randomUUID();
    return spread === 'none' ? { id } : { id, key: `k${pick(i)}` };
  });
}

/** Zipf with exponent 1 over `keys` ranks. The same sequence in every run: contenders get the same work. */
function zipf(keys: number): (i: number) => number {
  const bounds: number[] = [];
  let total = 0;
  for (let rank = 1; rank <= keys; rank += 1) bounds.push((total += 1 / rank));
  let state = 42;
  return () => {
    // A linear congruential generator: enough here, and the same everywhere.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const point = (state / 2 ** 32) * total;
    let low = 0;
    for (let high = keys - 1; low < high;) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] as number) < point) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
