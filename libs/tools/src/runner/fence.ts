import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A lock older than this belongs to a process that died while it held it: holding it takes well under a millisecond. */
const STALE_LOCK_MS = 5_000;
const LOCK_PATIENCE_MS = 10_000;

/**
 * The highest fencing token seen for a conversation in a workspace, on disk. Several runners may share the workspace, so
 * reading and raising it happen under a lock file.
 */
export class Fence {
  constructor(private readonly path: string) {}

  /** Raises the fence to `token`, durably, before anything happens under it. False = a higher one was here: do nothing. */
  async pass(token: number): Promise<boolean> {
    const seen = this.read();
    if (token < seen) return false;
    if (token === seen) return true;
    const unlock = await this.lock();
    try {
      if (token < this.read()) return false;
      writeDurably(this.path, String(token));
      return true;
    } finally {
      unlock();
    }
  }

  private read(): number {
    try {
      return Number(readFileSync(this.path, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
  }

  private async lock(): Promise<() => void> {
    const lock = `${this.path}.lock`;
    const deadline = performance.now() + LOCK_PATIENCE_MS;
    for (;;) {
      try {
        closeSync(openSync(lock, 'wx', 0o600));
        return () => rmSync(lock, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || performance.now() >= deadline) throw error;
      }
      breakStaleLock(lock);
      await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 5));
    }
  }
}

/** Removes the lock of a process that died holding it. A rename succeeds for one of those who see it. */
function breakStaleLock(lock: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    if (Date.now() - statSync(lock).mtimeMs < STALE_LOCK_MS) return;
    renameSync(lock, aside);
    rmSync(aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Replaces a small file so that a crash leaves the old or the new content. */
export function writeDurably(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, 'w', 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
