import { IdempotencyLedger } from '@tyrum/idempotency';
import { Leases } from '@tyrum/leases';
import { DirectedMail, pruneEdgeSlots, pruneOutbox } from '@tyrum/outbox';
import type { StateStore } from '@tyrum/statestore';
import { pruneFirings } from './sql/prune-firings';

const DAY_MS = 24 * 60 * 60 * 1_000;
/** How long things are kept that nobody needs to run: a client may resume from an event for a week. */
export const KEPT_MS = {
  outbox: 7 * DAY_MS,
  directed: DAY_MS,
  leaseHistory: 30 * DAY_MS,
  firings: 30 * DAY_MS,
} as const;

export interface RetentionOptions {
  /** Who this process is, in the lease. */
  readonly owner: string;
  /** Between two sweeps, in ms. */
  readonly intervalMs: number;
  /** Rows deleted in one transaction. */
  readonly batch: number;
  readonly onDeleted: (table: string, rows: number) => void;
  readonly onError: (error: unknown) => void;
}

const LEASE = { kind: 'maintenance', name: 'retention' } as const;
/** A sweep stops after so many batches of a table and goes on at the next one: it must not keep the database busy for hours. */
const MAX_BATCHES = 100;

/**
 * Deletes what is past its time, in small transactions, by one process at a time. The lease only spares the others the
 * work: two sweeps side by side would delete the same rows once.
 */
export class Retention {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly store: StateStore,
    private readonly options: RetentionOptions,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      this.sweeping = this.sweep().catch(this.options.onError);
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
    const { owner, intervalMs, batch } = this.options;
    const leases = new Leases(this.store);
    const lease = await leases.acquire(LEASE, owner, intervalMs);
    if (!lease) return 0;
    const tables: [string, () => Promise<number>][] = [
      ['outbox', () => pruneOutbox(this.store, KEPT_MS.outbox, batch)],
      // A place is good for as long as the events after it are kept.
      ['edge_slot', () => pruneEdgeSlots(this.store, KEPT_MS.outbox, batch)],
      ['directed_message', () => new DirectedMail(this.store).prune(KEPT_MS.directed, batch)],
      ['idempotency_record', () => new IdempotencyLedger().prune(this.store, batch)],
      ['lease_history', () => leases.pruneHistory(KEPT_MS.leaseHistory, batch)],
      ['firing', async () => (await this.store.execute(pruneFirings, [KEPT_MS.firings, batch])).length],
    ];
    let deleted = 0;
    try {
      for (const [table, prune] of tables) deleted += await this.empty(table, prune);
    } finally {
      await leases.release(lease);
    }
    return deleted;
  }

  private async empty(table: string, prune: () => Promise<number>): Promise<number> {
    let deleted = 0;
    for (let i = 0; i < MAX_BATCHES && !this.stopped; i += 1) {
      const rows = await prune();
      deleted += rows;
      if (rows < this.options.batch) break;
    }
    if (deleted > 0) this.options.onDeleted(table, deleted);
    return deleted;
  }
}
