import type { HeldLease, Leases } from './leases';

/** Losses that wait to be written, at the most. Who loses more at once has said enough. */
const MAX_WAITING = 1_000;

/**
 * The leases whose loss this process has found out, until it is in their history. Nobody else can write it: who takes a
 * lease knows that its holder was silent, not whether it noticed. Often the database was away, so it may come late; a process that
 * ends before that leaves no such entry.
 */
export class LossLog {
  private waiting: HeldLease[] = [];
  private writing = false;

  constructor(
    private readonly leases: Pick<Leases, 'noteLost'>,
    private readonly options: { readonly owner: string; readonly onError: (error: unknown) => void },
  ) {}

  add(lease: HeldLease): void {
    if (this.waiting.length < MAX_WAITING) this.waiting.push(lease);
  }

  /** Writes what waits. Never rejects: what was not written waits for the next time. */
  async flush(): Promise<void> {
    if (this.writing || this.waiting.length === 0) return;
    this.writing = true;
    const batch = this.waiting;
    this.waiting = [];
    try {
      await this.leases.noteLost(batch, this.options.owner);
    } catch (error) {
      this.waiting = [...batch, ...this.waiting].slice(0, MAX_WAITING);
      this.options.onError(error);
    } finally {
      this.writing = false;
    }
  }
}
