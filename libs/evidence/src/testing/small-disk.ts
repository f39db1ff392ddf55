import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A disk of 1 MiB over a folder, in a mount namespace of its own; seen from here under `path`. */
export class SmallDisk {
  private constructor(
    private readonly keeper: ChildProcess,
    readonly path: string,
  ) {}

  static async mount(folder: string): Promise<SmallDisk> {
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const script = 'mount -t tmpfs -o size=1m tmpfs "$0" && echo mounted && exec cat';
    const keeper = spawn('unshare', [...asRoot, '--mount', 'sh', '-c', script, folder]);
    const [said] = (await Promise.race([once(keeper.stdout, 'data'), once(keeper, 'exit')])) as [unknown];
    if (!String(said).startsWith('mounted')) throw new Error(`no disk: unshare ended with ${String(said)}`);
    return new SmallDisk(keeper, `/proc/${keeper.pid}/root${folder}`);
  }

  /** Its namespace, and so the disk, goes with its last process. */
  async unmount(): Promise<void> {
    const gone = once(this.keeper, 'exit');
    this.keeper.stdin?.end();
    await gone;
  }
}
