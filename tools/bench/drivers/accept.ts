import { randomUUID } from 'node:crypto';
import { percentile } from '../statistics';
import type { Driver } from './driver';

/**
 * How many jobs a second become durable, one call a job, with a fixed number of calls in flight: each caller waits for
 * its answer before it asks again. The first `warmupMs` do not count.
 */
export const accept: Driver = async ({ contender, database, number }) => {
  const opened = await contender.open({ database, role: 'producer' });
  const [inFlight, conversations] = [number('inFlight'), number('conversations')];
  const latencies: number[] = [];
  let next = 0;
  const startedAt = performance.now();
  const countFrom = startedAt + number('warmupMs');
  const until = countFrom + number('durationMs');
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < until;) {
      const key = `k${next++ % conversations}`;
      await opened.accept({ id: randomUUID(), key });
      const done = performance.now();
      if (now >= countFrom && done <= until) latencies.push(done - now);
      now = done;
    }
  };
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, caller));
  const cpu = process.cpuUsage(cpuBefore);
  const elapsedMs = performance.now() - startedAt;
  await opened.close();
  return {
    rate: latencies.length / (number('durationMs') / 1_000),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    js_cpu_share: (cpu.user + cpu.system) / 1_000 / elapsedMs,
  };
};
