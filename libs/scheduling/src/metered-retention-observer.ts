import type { Logger, Metrics } from '@tyrum/platform';
import type { RetentionObserver } from './retention';

/** Puts what the sweeps do into metrics. Of several schedulers the one that swept last tells of it. */
export class MeteredRetentionObserver implements RetentionObserver {
  private readonly rows;
  private readonly sweptAt;
  private readonly duration;
  private readonly oldest;
  private readonly troubles;

  constructor(
    metrics: Metrics,
    private readonly logger: Logger,
  ) {
    const labels = ['table'] as const;
    this.rows = metrics.counter(
      'tyrum_retention_deleted_total',
      'Rows deleted because they were past their time.',
      labels,
    );
    this.sweptAt = metrics.gauge(
      'tyrum_retention_last_sweep_timestamp_seconds',
      'When this process last ended a sweep.',
    );
    this.duration = metrics.gauge('tyrum_retention_last_sweep_duration_seconds', 'How long that sweep took.');
    this.oldest = metrics.gauge('tyrum_retention_oldest_row_seconds', 'Age of the oldest row after that sweep.', {
      labels,
    });
    this.troubles = metrics.counter('tyrum_retention_failures_total', 'Tables that a sweep could not sweep.');
  }

  deleted(table: string, rows: number): void {
    this.rows.inc({ table }, rows);
  }

  swept({ durationMs, ages }: Parameters<RetentionObserver['swept']>[0]): void {
    this.sweptAt.set(Date.now() / 1_000);
    this.duration.set(durationMs / 1_000);
    for (const [table, ageMs] of Object.entries(ages)) this.oldest.set({ table }, Math.max(0, ageMs) / 1_000);
  }

  trouble(what: string, error: unknown): void {
    this.troubles.inc();
    this.logger.warn({ err: error }, what);
  }
}
