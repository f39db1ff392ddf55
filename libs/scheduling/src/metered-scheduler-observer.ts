import type { HeldLease } from '@tyrum/leases';
import type { Logger, Metrics } from '@tyrum/platform';
import type { SchedulerObserver } from './scheduler-observer';

/** Puts what a scheduler reports into metrics and, where somebody should know, into the log. */
export class MeteredSchedulerObserver implements SchedulerObserver {
  private readonly lag;
  private readonly catchUps;
  private readonly refused;
  private readonly unfit;
  private readonly shards;

  constructor(
    metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.lag = metrics.histogram('tyrum_schedule_lag_seconds', 'How late instants were fired, by the database clock.', {
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600],
    });
    this.catchUps = metrics.counter(
      'tyrum_schedule_catch_ups_total',
      'Firings that stand for one or more earlier instants which nobody was there for.',
    );
    this.refused = metrics.counter('tyrum_schedule_fenced_total', 'Firings refused because the shard was lost.');
    this.unfit = metrics.counter('tyrum_schedule_postponed_total', 'Times a schedule could not be fired as stored.');
    this.shards = metrics.gauge('tyrum_scheduler_shards', 'Shards of schedules this process looks after.');
  }

  fired({ lagMs, caughtUp }: { readonly lagMs: number; readonly caughtUp: boolean }): void {
    this.lag.observe(Math.max(0, lagMs) / 1_000);
    if (caughtUp) this.catchUps.inc();
  }

  fenced({ name, token }: HeldLease): void {
    this.refused.inc();
    this.logger.warn({ shard: name, token }, 'a firing was refused: the shard is lost');
  }

  postponed(
    { tenantId, scheduleId }: { readonly tenantId: string; readonly scheduleId: string },
    error: unknown,
  ): void {
    this.unfit.inc();
    this.logger.error({ tenant_id: tenantId, schedule_id: scheduleId, err: error }, 'a schedule cannot be fired');
  }

  shardsHeld(count: number): void {
    this.shards.set(count);
  }

  trouble(what: string, error: unknown): void {
    this.logger.warn({ err: error }, `the scheduler could not ${what}`);
  }
}
