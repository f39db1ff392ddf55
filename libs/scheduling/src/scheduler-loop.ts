import { AdaptivePoll, type Backplane, type PollResult } from '@tyrum/backplane';
import type { TurnIntake } from '@tyrum/execution';
import type { HeldLease } from '@tyrum/leases';
import { StoreUnavailableError, UnknownCommitError, type StateStore } from '@tyrum/statestore';
import type { DueSchedule, ScheduleFirer } from './schedule-firer';
import type { SchedulerObserver } from './scheduler-observer';
import { shardOf, type SchedulerShards } from './scheduler-shards';
import { findDueSchedules } from './sql/find-due-schedules';

/** Schedules read at once. */
const BATCH = 100;
/** Firings under way at once: enough to share group commits of the database, too few to starve a worker's pool. */
const FIRINGS_AT_ONCE = 4;
/** How far the query looks ahead, in ms: as long as the poll may pause, so that it need not pause past an instant. */
const LOOK_AHEAD_MS = 3_000;

/** What the loop works with. */
export interface SchedulerParts {
  readonly store: StateStore;
  readonly backplane: Backplane;
  readonly shards: SchedulerShards;
  readonly firer: ScheduleFirer;
  readonly intake: TurnIntake;
}

/**
 * Looks at the schedules of this process's shards, fires those that are due, and sleeps until the next falls due, a
 * schedule changes, or the shards are to be shared out again.
 */
export class SchedulerLoop {
  private readonly poll: AdaptivePoll;
  private unsubscribe: (() => void) | undefined;
  private stopping = false;
  private balancedAt = -Infinity;

  /** @param options.balanceMs how often shards are shared out; half their leases' TTL makes a takeover 1.5 TTLs at most */
  constructor(
    private readonly parts: SchedulerParts,
    private readonly observer: SchedulerObserver,
    private readonly options: { readonly balanceMs: number },
  ) {
    const onError = (error: unknown) => observer.trouble('look for due schedules', error);
    this.poll = new AdaptivePoll(() => this.step(), { backplane: parts.backplane, onError });
  }

  start(): void {
    this.unsubscribe = this.parts.backplane.subscribe('timers', () => this.poll.wake());
    this.poll.start();
  }

  /** Begins no further firing; resolves when those under way have ended. */
  async stopClaiming(): Promise<void> {
    this.stopping = true;
    this.unsubscribe?.();
    await this.poll.stop();
  }

  /** Lets the shards go, so that another scheduler need not wait for their expiry. After `stopClaiming`. */
  async release(): Promise<void> {
    try {
      await this.parts.shards.close();
    } catch (error) {
      // They expire by themselves: a database that is away at the end does not make the stop unclean.
      this.observer.trouble('release the shards', error);
    }
  }

  private async step(): Promise<PollResult> {
    const untilBalance = await this.balance();
    const { shards, store } = this.parts;
    if (shards.held.size === 0) return { more: false, nextDueInMs: untilBalance };
    const rows = await store.read((db) =>
      db.query<DueSchedule>(findDueSchedules, [shards.digits, LOOK_AHEAD_MS, BATCH]),
    );
    const due = rows.filter((row) => row.next_fire_at <= row.now);
    const fired = await this.fireAll(due);
    const [upcoming] = rows.slice(due.length);
    const untilNext = upcoming ? upcoming.next_fire_at - upcoming.now : Infinity;
    return { more: fired > 0, nextDueInMs: Math.min(untilBalance, untilNext) };
  }

  /** Returns the time until the next balance. */
  private async balance(): Promise<number> {
    const since = performance.now() - this.balancedAt;
    if (since < this.options.balanceMs) return this.options.balanceMs - since;
    await this.parts.shards.balance();
    this.balancedAt = performance.now();
    this.observer.shardsHeld(this.parts.shards.held.size);
    return this.options.balanceMs;
  }

  private async fireAll(due: readonly DueSchedule[]): Promise<number> {
    let fired = 0;
    for (let i = 0; i < due.length && !this.stopping; i += FIRINGS_AT_ONCE) {
      const outcomes = await Promise.allSettled(due.slice(i, i + FIRINGS_AT_ONCE).map((row) => this.fire(row)));
      const moved = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length;
      if (moved > 0) this.parts.intake.wake();
      fired += moved;
      // Only after all of them have ended: a pass must not leave firings running behind it.
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed) throw failed.reason;
    }
    return fired;
  }

  /** True = it moved on, so there may be more to do. @throws when the database is away */
  private async fire(row: DueSchedule): Promise<boolean> {
    const lease: HeldLease | undefined = this.parts.shards.held.get(shardOf(row.schedule_id));
    if (!lease) return false;
    try {
      const outcome = await this.parts.firer.fire(row, lease);
      if (outcome.kind === 'fired')
        this.observer.fired({ lagMs: row.now - outcome.instant, caughtUp: outcome.caughtUp });
      if (outcome.kind === 'fenced') this.observer.fenced(lease);
      return outcome.kind === 'fired' || outcome.kind === 'repeated';
    } catch (error) {
      if (error instanceof StoreUnavailableError || error instanceof UnknownCommitError) throw error;
      await this.parts.firer.postpone(row);
      this.observer.postponed({ tenantId: row.tenant_id, scheduleId: row.schedule_id }, error);
      return false;
    }
  }
}
