import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnApp, type AppProcess } from '@tyrum/test-services';
import type { FaultProxy } from './fault-proxy';
import type { HistoryWriter } from './history';

export type Role = 'edge' | 'worker' | 'scheduler' | 'desktop-runtime';

export interface SlotOptions {
  readonly name: string;
  /** The first one's app runs in it. */
  readonly roles: readonly [Role, ...Role[]];
  readonly env: Readonly<Record<string, string>>;
  /** A folder for the file that says how wrong the process' clock is. */
  readonly folder: string;
  readonly history: HistoryWriter;
  readonly postgres?: FaultProxy;
  readonly redis?: FaultProxy;
  /** Between the clients and an edge. */
  readonly door?: FaultProxy;
  /** Path of libfaketime, where it is installed. */
  readonly faketime?: string;
}

const RESTART_AFTER_MS = 300;
const BLOCK_SCRIPT = join(__dirname, 'block-on-signal.cjs');
/** Log lines whose errors belong into the history. */
const TOLD = /fenced|lease lost|trouble|unhandled|uncaught|taken over|drain|fatal/i;

/** A place for one process, which is filled again whenever the process in it ends. */
export class Slot {
  current: AppProcess | undefined;
  private incarnation = 0;
  private stopping = false;
  private logsRead = 0;
  private filling: Promise<void> = Promise.resolve();

  constructor(readonly options: SlotOptions) {}

  get name(): string {
    return this.options.name;
  }

  get instance(): string {
    return `${this.name}.${this.incarnation}`;
  }

  get port(): number {
    return this.current?.port ?? 1;
  }

  start(): Promise<void> {
    this.filling = this.fill();
    return this.filling;
  }

  /** SIGTERM and, where that does not help, SIGKILL; nothing follows. Returns the exit code. */
  async stop(): Promise<number | null> {
    this.stopping = true;
    await this.filling.catch(() => {});
    const { current } = this;
    if (!current) return null;
    const isRunning = current.exitCode === null;
    await current.stop();
    const { code } = await current.exited;
    return isRunning ? code : null;
  }

  /** @returns whether there was a process to send it to */
  signal(signal: NodeJS.Signals): boolean {
    const { current } = this;
    if (!current || current.exitCode !== null) return false;
    current.kill(signal);
    return true;
  }

  /** Puts the process' wall clock off by so much from now on. */
  setClock(offset: string): void {
    writeFileSync(this.clockFile, `${offset}\n`);
  }

  /** Takes what was logged since the last time into the history. */
  readLogs(): void {
    const logs = this.current?.logs ?? [];
    for (; this.logsRead < logs.length; this.logsRead += 1) {
      const line = logs[this.logsRead] ?? {};
      const message = String(line['msg']);
      if (Number(line['level']) < 40 && !TOLD.test(message)) continue;
      const error = line['err'] as { message?: string; stack?: string } | undefined;
      const detail = [line['what'], error?.stack ?? error?.message].filter(Boolean).join(': ');
      this.options.history.write({
        kind: 'log',
        instance: this.instance,
        message,
        ...(detail ? { detail: detail.slice(0, 2_000) } : {}),
      });
    }
  }

  private get clockFile(): string {
    return join(this.options.folder, `clock-${this.name}`);
  }

  private async fill(): Promise<void> {
    const { roles, env, faketime, history } = this.options;
    // The one before has told all it had to when it ended; what is read from now on is this one's.
    this.current = undefined;
    this.logsRead = 0;
    this.incarnation += 1;
    this.setClock('+0');
    const started = await spawnApp(roles[0], {
      ...env,
      TYRUM_INSTANCE_ID: this.instance,
      NODE_OPTIONS: `--require ${BLOCK_SCRIPT}`,
      ...(faketime ? fakeClock(faketime, this.clockFile) : {}),
    });
    this.current = started;
    const { pid } = started;
    const base = { kind: 'process', slot: this.name, instance: this.instance, roles, pid } as const;
    history.write({ ...base, state: 'started' });
    void started.exited.then(({ code, signal }) => {
      this.readLogs();
      history.write({ ...base, state: 'exited', code, signal });
      if (!this.stopping) this.filling = this.refill();
    });
  }

  /** As a supervisor would: again and again, since the database it needs at its start may be away. */
  private async refill(): Promise<void> {
    while (!this.stopping) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_AFTER_MS));
      try {
        return await this.fill();
      } catch (error) {
        const detail = error instanceof Error ? error.message.slice(0, 500) : String(error);
        this.options.history.write({ kind: 'log', instance: this.instance, message: 'did not start', detail });
      }
    }
  }
}

function fakeClock(library: string, file: string): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
  };
}
