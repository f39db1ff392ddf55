export interface GroupCommitOptions<Op> {
  /** Operations in one flush at the most. */
  readonly maxBatch: number;
  /** Operations waiting at the most; further ones are refused. */
  readonly maxWaiting: number;
  /** Flushes under way at once. While the database works on one, the next is made and sent. */
  readonly lanes: number;
  /** What an operation's order and exclusion go by. */
  readonly keyOf: (op: Op) => string;
}

/** The queue in front of the database is full: shed load. */
export class OverloadedError extends Error {
  readonly code = 'overloaded';
  /** How long a caller should wait before it tries again, in milliseconds. */
  readonly retryAfterMs = 1_000;
  constructor() {
    super('too many writes are waiting for the database');
    this.name = 'OverloadedError';
  }
}

/**
 * Fewer are not parted, and wait for a flush under way that is as small, which will not take long: what a flush costs by itself would
 * outweigh what two at once gain.
 */
const WORTH_A_FLUSH = 16;
/** How long they wait for it, in ms: it may itself be waiting for a lock that they have nothing to do with. */
const PATIENCE_MS = 10;

interface Waiting<Op, Result> {
  readonly op: Op;
  readonly key: string;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects concurrent operations into one flush: while flushes are under way, the next batch gathers. One fsync then
 * serves everybody who waited for the last one, and the cost of an operation falls under load, when it matters.
 * Durability is unchanged: `submit` resolves only after the flush that carried the operation has returned.
 *
 * Operations of one key are flushed in the order in which they came, and never by two flushes at once.
 */
export class GroupCommit<Op, Result> {
  private waiting: Waiting<Op, Result>[] = [];
  /** Keys of the flushes under way. */
  private readonly busy = new Set<string>();
  private flushes = 0;
  /** Operations in them. */
  private underWay = 0;
  private scheduled = false;
  private patience: NodeJS.Timeout | undefined;
  private idlers: (() => void)[] = [];

  constructor(
    private readonly flush: (ops: readonly Op[]) => Promise<readonly Result[]>,
    private readonly options: GroupCommitOptions<Op>,
  ) {}

  /** @throws {OverloadedError} without having queued the operation */
  submit(op: Op): Promise<Result> {
    if (this.waiting.length >= this.options.maxWaiting) return Promise.reject(new OverloadedError());
    return new Promise((resolve, reject) => {
      this.waiting.push({ op, key: this.options.keyOf(op), resolve, reject });
      this.schedule();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void> {
    return this.isIdle ? Promise.resolve() : new Promise((resolve) => this.idlers.push(resolve));
  }

  private get isIdle(): boolean {
    return this.flushes === 0 && this.waiting.length === 0;
  }

  private schedule(): void {
    const most = Math.max(this.waiting.length, this.underWay);
    if (this.flushes === 0 || most >= WORTH_A_FLUSH) return this.scheduleNow();
    if (this.flushes < this.options.lanes) this.patience ??= setTimeout(() => this.scheduleNow(), PATIENCE_MS);
  }

  private scheduleNow(): void {
    clearTimeout(this.patience);
    this.patience = undefined;
    if (this.scheduled || this.flushes >= this.options.lanes) return;
    this.scheduled = true;
    // After this turn of the event loop: everything that arrived in it travels together.
    setImmediate(() => {
      this.scheduled = false;
      void this.startFlush();
    });
  }

  private async startFlush(): Promise<void> {
    const batch = this.takeBatch();
    if (batch.length === 0) return;
    this.flushes += 1;
    this.underWay += batch.length;
    const keys = new Set(batch.map(({ key }) => key));
    for (const key of keys) this.busy.add(key);
    if (this.waiting.length > 0) this.schedule();
    await this.flushBatch(batch);
    for (const key of keys) this.busy.delete(key);
    this.flushes -= 1;
    this.underWay -= batch.length;
    if (this.waiting.length > 0) this.schedule();
    if (this.isIdle) for (const idle of this.idlers.splice(0)) idle();
  }

  /** The oldest operations whose keys no flush under way has: an even share of what waits for each lane that is free. */
  private takeBatch(): Waiting<Op, Result>[] {
    const { lanes, maxBatch } = this.options;
    const share = Math.ceil(this.waiting.length / (lanes - this.flushes));
    const size = Math.min(maxBatch, Math.max(WORTH_A_FLUSH, share));
    const batch: Waiting<Op, Result>[] = [];
    const left: Waiting<Op, Result>[] = [];
    for (const entry of this.waiting) {
      if (batch.length < size && !this.busy.has(entry.key)) batch.push(entry);
      else left.push(entry);
    }
    this.waiting = left;
    return batch;
  }

  private async flushBatch(batch: readonly Waiting<Op, Result>[]): Promise<void> {
    try {
      const results = await this.flush(batch.map((entry) => entry.op));
      batch.forEach((entry, i) => entry.resolve(results[i] as Result));
    } catch (error) {
      if (batch.length === 1 || !isOnesOwnFault(error)) {
        for (const entry of batch) entry.reject(error);
        return;
      }
      // Something in the batch cannot be written. Its companions must not fail with it.
      for (const entry of batch) await this.flushBatch([entry]);
    }
  }
}

/** Whether an error may be due to one operation; a missing database or a cut COMMIT concerns all of them alike. */
function isOnesOwnFault(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code !== 'store_unavailable' && code !== 'commit_unknown';
}
