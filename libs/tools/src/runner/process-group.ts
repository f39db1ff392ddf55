import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 5;
const GONE_WITHIN_MS = 5_000;

/** Signals a process group; 0 only asks. False = there is no such group. */
export function killGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pgid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return false;
    // Somebody in it runs as another user: there is a group, and we cannot do more about it.
    if (code === 'EPERM') return true;
    throw error;
  }
}

/** Kills a process group and returns when nothing of it runs any more. */
export async function endGroup(pgid: number): Promise<void> {
  killGroup(pgid, 'SIGKILL');
  const deadline = performance.now() + GONE_WITHIN_MS;
  while (isRunning(pgid) && performance.now() < deadline) await pause(POLL_MS);
}

/**
 * Whether anything in the group still runs. Orphans that died are in the group until the system's first process takes note
 * of them, which takes one a second and another, in a container, for ever; they do nothing any more.
 */
function isRunning(pgid: number): boolean {
  if (!killGroup(pgid, 0)) return false;
  if (process.platform !== 'linux') return true;
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && isLiveMember(name, pgid));
}

function isLiveMember(pid: string, pgid: number): boolean {
  try {
    // "pid (name) state ppid pgrp …", and a name may hold anything, brackets too.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(group) === pgid && !'ZX'.includes(state);
  } catch {
    return false; // it ended while we looked
  }
}
