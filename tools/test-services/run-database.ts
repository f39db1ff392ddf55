import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Names of our databases begin so; those of processes that are no more are dropped at the next run. */
export const DATABASE_PREFIX = 'tyrum_test_';

// Several machines or containers may share one server, and a process id says nothing about another's processes.
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const NAME = new RegExp(`^${DATABASE_PREFIX}(\\d+)_(\\d+)_([0-9a-f]{8})_`);

/** A database name that says which process it belongs to: `tyrum_test_<pid>_<its start>_<host>_<random>`. */
export function nameDatabase(): string {
  const random = randomBytes(6).toString('hex');
  return `${DATABASE_PREFIX}${process.pid}_${startOf(process.pid) ?? 0}_${HOST}_${random}`;
}

/** Whether a process of this machine made the database and has ended. False for what is not ours to judge. */
export function isLeftOver(database: string): boolean {
  const [, pid, start, host] = NAME.exec(database) ?? [];
  if (!pid || !start || host !== HOST) return false;
  return !isRunning(Number(pid)) || (startOf(Number(pid)) ?? Number(start)) !== Number(start);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Start of a process in clock ticks since the boot: process ids are used again. Undefined where there is no /proc. */
function startOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold spaces; the start is field 22.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}
