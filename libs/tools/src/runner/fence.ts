import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Wide enough for every safe integer, so that names sort as numbers do. */
const DIGITS = 16;

/**
 * The highest fencing token seen for a conversation in a workspace, on disk. It is a directory with a file named after each
 * token that came: raising the fence is creating a file, reading it is taking the greatest name. Several runners share a
 * workspace, and nobody has to lock anything: a file with a number cannot be overwritten by one with a lower number, and a
 * runner that is stopped half-way blocks nobody.
 */
export class Fence {
  constructor(private readonly path: string) {}

  /** Raises the fence to `token`, durably, before anything happens under it. False = a higher one was here: do nothing. */
  async pass(token: number): Promise<boolean> {
    const seen = this.highest();
    if (token !== seen) {
      if (token < seen) return false;
      await this.raise(token);
    }
    return this.holds(token);
  }

  /** Whether no higher token has come since; asked again right before an effect. */
  holds(token: number): boolean {
    return this.highest() <= token;
  }

  private highest(): number {
    return Math.max(0, ...this.names().map(Number));
  }

  /** Only raising costs fsyncs, which is once per lease and not once per step. */
  private async raise(token: number): Promise<void> {
    if (mkdirSync(this.path, { recursive: true, mode: 0o700 }) !== undefined) await syncDirectory(dirname(this.path));
    closeSync(openSync(join(this.path, String(token).padStart(DIGITS, '0')), 'w', 0o600));
    await syncDirectory(this.path);
    const highest = this.highest();
    for (const name of this.names()) if (Number(name) < highest) rmSync(join(this.path, name), { force: true });
  }

  private names(): string[] {
    try {
      return readdirSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}

/** Makes what was created or renamed in a directory survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
