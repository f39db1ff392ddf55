import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second. */
const MS_PER_TICK = 10;

/** Processor time that the processes have taken so far, in ms, to 10 ms. */
export function cpuMsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    // After the name, which is in parentheses and may hold anything: the 12th and 13th are user's and system's.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) * MS_PER_TICK;
}
