export interface GroupCommitOptions {
  /** Operations in one flush at the most. */
  readonly maxBatch: number;
  /** Operations waiting at the most; further ones are refused. */
  readonly maxWaiting: number;
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

interface Waiting<Op, Result> {
  readonly op: Op;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects concurrent operations into one flush: while a flush is under way, the next batch gathers. One fsync then
 * serves everybody who waited for the last one, and the cost of an operation falls under load, when it matters.
 * Durability is unchanged: `submit` resolves only after the flush that carried the operation has returned.
 */
export class GroupCommit<Op, Result> {
  private waiting: Waiting<Op, Result>[] = [];
  private flushing = false;
  private idlers: (() => void)[] = [];

  constructor(
    private readonly flush: (ops: readonly Op[]) => Promise<readonly Result[]>,
    private readonly options: GroupCommitOptions,
  ) {}

  /** @throws {OverloadedError} without having queued the operation */
  submit(op: Op): Promise<Result> {
    if (this.waiting.length >= this.options.maxWaiting) return Promise.reject(new OverloadedError());
    return new Promise((resolve, reject) => {
      this.waiting.push({ op, resolve, reject });
      if (this.flushing) return;
      this.flushing = true;
      // After this turn of the event loop: everything that arrived in it travels together.
      setImmediate(() => void this.drainQueue());
    });
  }

  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void> {
    return this.flushing ? new Promise((resolve) => this.idlers.push(resolve)) : Promise.resolve();
  }

  private async drainQueue(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.options.maxBatch);
      await this.flushBatch(batch);
    }
    this.flushing = false;
    for (const idle of this.idlers.splice(0)) idle();
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
