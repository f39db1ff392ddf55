import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldLease } from '@tyrum/leases';
import type { EnvironmentRow } from '../environment-row';
import { DesktopUnavailableError } from './desktop-driver';
import type { UpDesktop } from './hosted-desktop';
import type { Placements, Report } from './placements';

/** The lease on this host, and when it is gone. */
export interface HostHold {
  readonly lease: HeldLease;
  readonly lost: AbortSignal;
}

export interface ReconcilerPorts {
  readonly placements: Placements;
  /** While it can be trusted. */
  readonly hold: () => HostHold | undefined;
  /** Breaks off when the signal says so. */
  readonly bringUp: (row: EnvironmentRow, how: BringUp) => Promise<UpDesktop>;
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

export interface BringUp {
  readonly directory: string;
  readonly lease: HeldLease;
  readonly signal: AbortSignal;
}

const EVERY_MS = 2_000;
const RETRY_MS = [2_000, 60_000] as const;

/** One desktop as this process knows it. */
interface Hosted {
  row: EnvironmentRow;
  up: UpDesktop | undefined;
  upSince: number;
  /** Breaks off its being brought up. */
  starting: AbortController | undefined;
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
 * Without the host's lease nothing may be up here: another process may act for the host. What is up belongs to one tenant, because
 * desktops of a host share its loopback network.
 */
export class DesktopReconciler {
  private readonly hosted = new Map<string, Hosted>();
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private watched: AbortSignal | undefined;
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
    const endings = await Promise.allSettled([...this.hosted.values()].map((hosted) => this.handBack(hosted)));
    for (const ending of endings) {
      if (ending.status === 'rejected') this.ports.onTrouble('end a desktop', ending.reason);
    }
  }

  private look(): void {
    this.looking = this.reconcile()
      .catch((error: unknown) => this.ports.onTrouble('look what desktops are wanted', error))
      .finally(() => {
        if (!this.stopping.signal.aborted) this.timer = setTimeout(() => this.look(), this.ports.everyMs ?? EVERY_MS);
      });
  }

  private async reconcile(): Promise<void> {
    const hold = this.ports.hold();
    if (!hold) return this.endAll();
    this.watch(hold);
    const rows = await this.ours(hold.lease);
    if (!this.isSwept) await this.sweep(rows);
    const wanted = new Map(rows.map((row) => [nameOf(row), row]));
    for (const [name, hosted] of this.hosted) {
      if (!wanted.has(name)) this.keep(hosted, { ...hosted.row, desired: 'absent' }, () => this.leave(name, hosted));
    }
    for (const [name, row] of wanted) {
      const hosted = this.hosted.get(name) ?? newHosted(row);
      this.hosted.set(name, hosted);
      this.keep(hosted, row, () => this.settle(hosted, row, hold));
    }
  }

  /** Ends everything as soon as the lease is gone: the next look may be a while in coming where the database does not answer. */
  private watch({ lost }: HostHold): void {
    if (this.watched === lost) return;
    this.watched = lost;
    lost.addEventListener('abort', () => this.endAll(), { once: true });
  }

  /** What this host has, after it has taken up what it has room for. */
  private async ours(lease: HeldLease): Promise<EnvironmentRow[]> {
    const rows = await this.ports.placements.work();
    const ours = rows.filter(({ host_id }) => host_id !== null);
    const running = ours.filter(({ desired }) => desired === 'running');
    const room = this.ports.capacity - running.length;
    const tenant = (running[0] ?? rows.find(({ host_id }) => host_id === null))?.tenant_id;
    if (room <= 0 || tenant === undefined || ours.length === rows.length) return ours;
    return [...ours, ...(await this.ports.placements.takeUp(lease, tenant, room))];
  }

  /** Does something to a desktop unless something is being done to it: the next look finds what is left to do. */
  private keep(hosted: Hosted, row: EnvironmentRow, work: () => Promise<void>): void {
    hosted.row = row;
    if (row.desired !== 'running') hosted.starting?.abort();
    if (hosted.isBusy) return;
    hosted.isBusy = true;
    hosted.work = work()
      .catch((error: unknown) => this.ports.onTrouble(`keep the desktop ${row.environment_id}`, error))
      .finally(() => (hosted.isBusy = false));
  }

  private async settle(hosted: Hosted, row: EnvironmentRow, hold: HostHold): Promise<void> {
    if (hosted.endedBy !== undefined) await this.fail(hosted, row, { ...hold, error: hosted.endedBy });
    if (row.desired === 'running') return this.run(hosted, row, hold);
    await this.end(hosted);
    if (row.desired === 'absent') {
      await rm(this.directoryOf(row), { recursive: true, force: true });
      await this.ports.placements.drop(hold.lease, row);
    } else if (row.status !== 'stopped') await this.note(row, hold, { status: 'stopped' });
  }

  private async run(hosted: Hosted, row: EnvironmentRow, hold: HostHold): Promise<void> {
    if (hosted.up) {
      // Said again: an operator asked for it once more, or it could not be said before.
      if (row.status !== 'running') await this.note(row, hold, { status: 'running' });
      return;
    }
    const isAskedAnew = hosted.failures.generation !== row.generation;
    if (!isAskedAnew && this.now() < hosted.retryAt) return;
    if (isAskedAnew) hosted.failures = { generation: row.generation, count: 0 };
    const obstacle = this.obstacleTo(row);
    if (obstacle !== undefined) {
      if (row.status !== 'pending' || row.error !== obstacle)
        await this.note(row, hold, { status: 'pending', error: obstacle });
      return;
    }
    const starting = new AbortController();
    hosted.starting = starting;
    try {
      await this.bringUp(hosted, row, { ...hold, starting });
    } finally {
      hosted.starting = undefined;
    }
  }

  private async bringUp(
    hosted: Hosted,
    row: EnvironmentRow,
    { starting, ...hold }: HostHold & { readonly starting: AbortController },
  ): Promise<void> {
    if (!(await this.note(row, hold, { status: 'starting' }))) return;
    const signal = AbortSignal.any([this.stopping.signal, hold.lost, starting.signal]);
    try {
      const up = await this.ports.bringUp(row, { directory: this.directoryOf(row), lease: hold.lease, signal });
      if (signal.aborted) return await up.stop();
      hosted.up = up;
      hosted.upSince = this.now();
      void up.ended.then((why) => {
        if (hosted.up === up) hosted.endedBy = why;
      });
      await this.note(row, hold, { status: 'running' });
    } catch (error) {
      // It is not wanted any more, or not here: that is no failure.
      if (signal.aborted) return;
      if (error instanceof DesktopUnavailableError) return this.fail(hosted, row, { ...hold, error: error.message });
      this.ports.onTrouble('start a desktop', error);
      await this.fail(hosted, row, { ...hold, error: 'it could not be started: see the log of its host' });
    }
  }

  /** Why it may not be brought up now. */
  private obstacleTo(row: EnvironmentRow): string | undefined {
    const others = [...this.hosted.values()].filter(({ up, starting }) => up ?? starting);
    if (others.length >= this.ports.capacity) return 'its host has no room for it';
    if (others.some((other) => other.row.tenant_id !== row.tenant_id)) return 'its host has desktops of another tenant';
    return undefined;
  }

  private async fail(
    hosted: Hosted,
    row: EnvironmentRow,
    { error, ...hold }: HostHold & { readonly error: string },
  ): Promise<void> {
    const [first, longest] = this.ports.retryMs ?? RETRY_MS;
    const wasUpLong = hosted.up !== undefined && this.now() - hosted.upSince > longest;
    await this.end(hosted);
    const count = wasUpLong ? 0 : hosted.failures.count;
    hosted.failures = { generation: row.generation, count: count + 1 };
    hosted.retryAt = this.now() + Math.min(longest, first * 2 ** Math.min(count, 16));
    await this.note(row, hold, { status: 'failed', error });
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
    const hold = this.ports.hold();
    if (hold && hosted.row.desired === 'running') await this.note(hosted.row, hold, { status: 'pending' });
  }

  private endAll(): void {
    for (const hosted of this.hosted.values()) {
      hosted.starting?.abort();
      this.keep(hosted, hosted.row, () => this.end(hosted));
    }
  }

  private async end(hosted: Hosted): Promise<void> {
    const { up } = hosted;
    hosted.up = undefined;
    hosted.endedBy = undefined;
    await up?.stop();
  }

  private note(row: EnvironmentRow, { lease }: HostHold, report: Report): Promise<boolean> {
    return this.ports.placements.note(lease, row, report);
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
  const idle = { up: undefined, upSince: 0, starting: undefined, endedBy: undefined };
  return { row, ...idle, failures, retryAt: 0, work: Promise.resolve(), isBusy: false };
}
