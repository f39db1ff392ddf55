import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldLease } from '@tyrum/leases';
import type { EnvironmentRow } from '../environment-row';
import { DesktopUnavailableError } from './desktop-driver';
import type { UpDesktop } from './hosted-desktop';
import type { Placements, Report } from './placements';

export interface ReconcilerPorts {
  readonly placements: Placements;
  /** The lease on this host, while it can be trusted. */
  readonly lease: () => HeldLease | undefined;
  /** Breaks off when the signal says so. */
  readonly bringUp: (row: EnvironmentRow, directory: string, signal: AbortSignal) => Promise<UpDesktop>;
  /** Where desktops keep their files, a folder each. */
  readonly directory: string;
  /** That many at a time. */
  readonly capacity: number;
  readonly onTrouble: (what: string, error: unknown) => void;
  /** How often the database is looked at, in ms. */
  readonly everyMs?: number;
  /** After a desktop that failed, the first and the longest pause before it is tried again, in ms. */
  readonly retryMs?: readonly [number, number];
  readonly nowMs?: () => number;
}

const EVERY_MS = 2_000;
const RETRY_MS = [2_000, 60_000] as const;

/** One desktop as this process knows it. */
interface Hosted {
  row: EnvironmentRow;
  up: UpDesktop | undefined;
  /** Why the one that was up is no more, until it has been said. */
  endedBy: string | undefined;
  /** The generation for which it failed, and how often in a row. */
  failures: { generation: number; count: number };
  retryAt: number;
  work: Promise<void>;
  isBusy: boolean;
}

/**
 * Makes the desktops of this host what operators want them to be, by looking at what is wanted and at what is there, again and again:
 * a wish that was missed, a crash and a restart are all the same to it.
 *
 *              taken up                node approved
 *     pending ──────────▶ starting ───────────────────▶ running ──▶ its screen or node ends ──▶ failed ──▶ again, later
 *        ▲                    └── fails ──▶ failed          └── not wanted ──▶ stopped
 *        └────────────────────────── wanted again ────────────────────────────────┘
 *
 * Without the host's lease nothing may be up here: another process may act for the host.
 */
export class DesktopReconciler {
  private readonly hosted = new Map<string, Hosted>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private readonly stopping = new AbortController();
  private isSwept = false;

  constructor(private readonly ports: ReconcilerPorts) {}

  start(): void {
    this.look();
  }

  /** Ends every desktop, and says that they wait for this host, or another start of it. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.looking;
    await Promise.all([...this.hosted.values()].map((hosted) => this.handBack(hosted)));
  }

  private look(): void {
    this.looking = this.reconcile()
      .catch((error: unknown) => this.ports.onTrouble('look what desktops are wanted', error))
      .finally(() => {
        if (!this.stopping.signal.aborted) this.timer = setTimeout(() => this.look(), this.ports.everyMs ?? EVERY_MS);
      });
  }

  private async reconcile(): Promise<void> {
    const lease = this.ports.lease();
    if (!lease) return this.endAll();
    const rows = await this.ours(lease);
    if (!this.isSwept) await this.sweep(rows);
    const wanted = new Map(rows.map((row) => [nameOf(row), row]));
    for (const [name, hosted] of this.hosted) {
      if (!wanted.has(name)) this.busy(hosted, () => this.leave(name, hosted));
    }
    for (const [name, row] of wanted) {
      const hosted = this.hosted.get(name) ?? newHosted(row);
      this.hosted.set(name, hosted);
      hosted.row = row;
      this.busy(hosted, () => this.settle(hosted, lease));
    }
  }

  /** What this host has, after it has taken up what it has room for. */
  private async ours(lease: HeldLease): Promise<EnvironmentRow[]> {
    const rows = await this.ports.placements.work();
    const ours = rows.filter(({ host_id }) => host_id !== null);
    const room = this.ports.capacity - ours.filter(({ desired }) => desired === 'running').length;
    if (room <= 0 || ours.length === rows.length) return ours;
    return [...ours, ...(await this.ports.placements.takeUp(lease, room))];
  }

  /** Does something to a desktop unless something is being done to it: the next look finds what is left to do. */
  private busy(hosted: Hosted, work: () => Promise<void>): void {
    if (hosted.isBusy) return;
    hosted.isBusy = true;
    hosted.work = work()
      .catch((error: unknown) => this.ports.onTrouble(`keep the desktop ${hosted.row.environment_id}`, error))
      .finally(() => (hosted.isBusy = false));
  }

  private async settle(hosted: Hosted, lease: HeldLease): Promise<void> {
    if (hosted.endedBy !== undefined) await this.fail(hosted, lease, hosted.endedBy);
    if (hosted.row.desired === 'running') return this.run(hosted, lease);
    await this.end(hosted);
    if (hosted.row.desired === 'absent') {
      await rm(this.directoryOf(hosted.row), { recursive: true, force: true });
      await this.ports.placements.drop(lease, hosted.row);
    } else if (hosted.row.status !== 'stopped') await this.note(hosted, lease, { status: 'stopped' });
  }

  private async run(hosted: Hosted, lease: HeldLease): Promise<void> {
    const { row, failures } = hosted;
    if (hosted.up) {
      // Said again: an operator asked for it once more, or this could not be said before.
      if (row.status !== 'running') await this.note(hosted, lease, { status: 'running', nodeId: hosted.up.nodeId });
      return;
    }
    const isAskedAnew = failures.generation !== row.generation;
    if (!isAskedAnew && this.now() < hosted.retryAt) return;
    if (isAskedAnew) hosted.failures = { generation: row.generation, count: 0 };
    if (!(await this.note(hosted, lease, { status: 'starting' }))) return;
    try {
      const up = await this.ports.bringUp(row, this.directoryOf(row), this.stopping.signal);
      hosted.up = up;
      void up.ended.then((why) => {
        if (hosted.up === up) hosted.endedBy = why;
      });
      await this.note(hosted, lease, { status: 'running', nodeId: up.nodeId });
    } catch (error) {
      if (!(error instanceof DesktopUnavailableError)) this.ports.onTrouble('start a desktop', error);
      const why =
        error instanceof DesktopUnavailableError ? error.message : 'it could not be started: see the log of its host';
      await this.fail(hosted, lease, why);
    }
  }

  private async fail(hosted: Hosted, lease: HeldLease, error: string): Promise<void> {
    await this.end(hosted);
    const { count } = hosted.failures;
    const [first, longest] = this.ports.retryMs ?? RETRY_MS;
    hosted.failures = { generation: hosted.row.generation, count: count + 1 };
    hosted.retryAt = this.now() + Math.min(longest, first * 2 ** Math.min(count, 16));
    await this.note(hosted, lease, { status: 'failed', error });
  }

  /** It is another host's, or was deleted without us. */
  private async leave(name: string, hosted: Hosted): Promise<void> {
    await this.end(hosted);
    await rm(this.directoryOf(hosted.row), { recursive: true, force: true });
    this.hosted.delete(name);
  }

  private async handBack(hosted: Hosted): Promise<void> {
    await hosted.work;
    await this.end(hosted);
    const lease = this.ports.lease();
    if (lease && hosted.row.desired === 'running') await this.note(hosted, lease, { status: 'pending' });
  }

  private async endAll(): Promise<void> {
    for (const hosted of this.hosted.values()) this.busy(hosted, () => this.end(hosted));
  }

  private async end(hosted: Hosted): Promise<void> {
    const { up } = hosted;
    hosted.up = undefined;
    hosted.endedBy = undefined;
    await up?.stop();
  }

  /** Says how it is; what is said is also what is known here until the next look. */
  private async note(hosted: Hosted, lease: HeldLease, report: Report): Promise<boolean> {
    const isNoted = await this.ports.placements.note(lease, hosted.row, report);
    if (isNoted) hosted.row = { ...hosted.row, status: report.status };
    return isNoted;
  }

  /** Removes, once, what desktops have left here that went elsewhere while no process acted for this host. */
  private async sweep(rows: readonly EnvironmentRow[]): Promise<void> {
    await mkdir(this.ports.directory, { recursive: true, mode: 0o700 });
    const known = new Set(rows.map(nameOf));
    for (const name of await readdir(this.ports.directory)) {
      if (!known.has(name)) await rm(join(this.ports.directory, name), { recursive: true, force: true });
    }
    this.isSwept = true;
  }

  private directoryOf(row: EnvironmentRow): string {
    return join(this.ports.directory, nameOf(row));
  }

  private now(): number {
    return (this.ports.nowMs ?? Date.now)();
  }
}

/** The name of its folder, too: another one after a move, so that what was there before is never taken up again. */
function nameOf({ environment_id, placement }: EnvironmentRow): string {
  return `${environment_id}.${placement}`;
}

function newHosted(row: EnvironmentRow): Hosted {
  const failures = { generation: row.generation, count: 0 };
  return { row, up: undefined, endedBy: undefined, failures, retryAt: 0, work: Promise.resolve(), isBusy: false };
}
