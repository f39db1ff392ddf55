import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '@tyrum/test-services';

const ROOT = join(__dirname, '..', '..', '..');

/** The client's package in a project of its own, as a user installs it; its examples run there. */
export class InstalledClient {
  readonly folder = mkdtempSync(join(tmpdir(), 'tyrum-installed-'));
  private readonly running = new Set<RunningExample>();

  constructor() {
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ name: 'fresh', private: true }));
    const packed = run('npm', 'pack', '--silent', join(ROOT, 'dist', 'libs', 'client')).trim();
    run('npm', 'install', '--silent', '--offline', '--no-audit', '--no-fund', `./${packed}`);
    // The one package that the examples need besides; it has no dependencies.
    symlinkSync(join(ROOT, 'node_modules', 'ws'), join(this.folder, 'node_modules', 'ws'));
  }

  /** The package's own files. */
  file(...names: string[]): string {
    return join(this.folder, 'node_modules', '@tyrum', 'client', ...names);
  }

  example(name: string, ...args: string[]): RunningExample {
    const example = new RunningExample(
      spawn(process.execPath, [this.file('examples', name), ...args], {
        cwd: this.folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.running.add(example);
    return example;
  }

  async remove(): Promise<void> {
    for (const example of this.running) await example.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An example as a process of its own. */
export class RunningExample {
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;

  constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'exit').then(([code]) => code as number | null);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
  }

  /** Resolves when it has printed such a line, `count` times in all. */
  printed(line: RegExp, count = 1): Promise<void> {
    return eventually(
      () => {
        if (this.lines.filter((one) => line.test(one)).length < count) throw new Error(this.lines.join('\n'));
      },
      { timeoutMs: 60_000 },
    );
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await this.exited;
  }
}
