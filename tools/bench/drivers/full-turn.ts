import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { percentile } from '../statistics';
import type { Driver } from './driver';

/**
 * Whole jobs through one process: added one call at a time by callers that wait for the job's end before they add the next,
 * run by a worker beside them. What a single host does.
 */
export const fullTurn: Driver = async ({ contender, database, number }) => {
  const opened = await contender.open({ database, role: 'all', keyed: true, concurrency: number('concurrency') });
  const ends = new Map<string, () => void>();
  const onSettled = (id: string): void => {
    ends.get(id)?.();
    ends.delete(id);
  };
  const worker = await opened.work(() => undefined, { concurrency: number('concurrency'), onSettled, keyed: true });
  const latencies: number[] = [];
  let next = 0;
  const loop = monitorEventLoopDelay({ resolution: 5 });
  const startedAt = performance.now();
  const countFrom = startedAt + number('warmupMs');
  const until = countFrom + number('durationMs');
  loop.enable();
  const cpuBefore = process.cpuUsage();
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < until; now = performance.now()) {
      const id = randomUUID();
      const ended = new Promise<void>((resolve) => ends.set(id, resolve));
      await opened.accept({ id, key: `k${next++ % number('conversations')}` });
      await ended;
      const done = performance.now();
      if (now >= countFrom && done <= until) latencies.push(done - now);
    }
  };
  await Promise.all(Array.from({ length: number('inFlight') }, caller));
  const cpu = process.cpuUsage(cpuBefore);
  const elapsedMs = performance.now() - startedAt;
  loop.disable();
  await worker.stop();
  await opened.close();
  return {
    rate: latencies.length / (number('durationMs') / 1_000),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    loop_delay_p99: loop.percentile(99) / 1e6,
    js_cpu_share: (cpu.user + cpu.system) / 1_000 / elapsedMs,
  };
};
