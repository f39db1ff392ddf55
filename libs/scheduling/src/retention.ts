import { Leases } from '@tyrum/leases';
import type { StateStore } from '@tyrum/statestore';
import { retentionParts, type KeptFor, type RetentionPart, type SweptPlaces } from './retention-parts';
import { measureAges } from './sql/measure-ages';

export interface RetentionOptions extends SweptPlaces {
  /** Who this process is, in the lease. */
  readonly owner: string;
  /** Between two sweeps, in ms. */
  readonly intervalMs: number;
  /** Rows looked at in one transaction. */
  readonly batch: number;
  readonly keptFor: KeptFor;
}

/** Hears what the sweeps do. */
export interface RetentionObserver {
  deleted(table: string, rows: number): void;
  /** `ages`: of the oldest row that is left, by table, in ms. */
  swept(sweep: { readonly durationMs: number; readonly ages: Readonly<Record<string, number>> }): void;
  trouble(what: string, error: unknown): void;
}

const LEASE = { kind: 'maintenance', name: 'retention' } as const;

/**
 * Deletes what is past its time, in small transactions, by one process at a time. The lease only spares the others the
 * work: two sweeps side by side would delete the same rows once.
 */
export class Retention {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<unknown> = Promise.resolve();
  private stopped = false;
  private readonly parts: readonly RetentionPart[];

  constructor(
    private readonly store: StateStore,
    private readonly options: RetentionOptions,
    private readonly observer: RetentionObserver,
  ) {
    this.parts = retentionParts(store, options.keptFor, options);
  }

  start(): void {
    this.timer = setInterval(() => {
      // One sweep may last longer than the pause between two.
      this.sweeping = this.sweeping
        .then(() => this.sweep())
        .catch((error: unknown) => this.observer.trouble('retention', error));
    }, this.options.intervalMs);
  }

  /** Ends after the batch under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.sweeping;
  }

  /** One sweep over every table, if nobody else is at it. Returns how many rows went. */
  async sweep(): Promise<number> {
    if (this.stopped) return 0;
    const { owner, intervalMs } = this.options;
    const leases = new Leases(this.store);
    const lease = await leases.acquire(LEASE, owner, intervalMs);
    if (!lease) return 0;
    const startedAt = performance.now();
    let deleted = 0;
    try {
      for (const part of this.parts) deleted += await this.sweepPart(part);
      this.observer.swept({ durationMs: performance.now() - startedAt, ages: await this.ages() });
    } finally {
      await leases.release(lease);
    }
    return deleted;
  }

  /** A table that cannot be swept must not keep the others from it. */
  private async sweepPart(part: RetentionPart): Promise<number> {
    let deleted = 0;
    try {
      for (let i = 0; i < part.maxBatches && !this.stopped; i += 1) {
        const step = await part.step(this.options.batch);
        for (const [table, rows] of Object.entries(step.deleted)) {
          if (rows > 0) this.observer.deleted(table, rows);
          deleted += rows;
        }
        if (!step.more) break;
      }
    } catch (error) {
      this.observer.trouble(`retention of ${part.what}`, error);
    }
    return deleted;
  }

  private async ages(): Promise<Record<string, number>> {
    const rows = await this.store.read((db) => db.query<{ what: string; age_ms: number | null }>(measureAges));
    return Object.fromEntries(rows.map(({ what, age_ms }) => [what, age_ms ?? 0]));
  }
}
