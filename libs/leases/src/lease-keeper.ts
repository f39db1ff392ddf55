import { leaseKey, type HeldLease, type LeaseName, type Leases } from './leases';
import { LossLog } from './loss-log';

export interface LeaseKeeperOptions {
  /** Unique to this process and this start of it: an owner's leases are its own to take again. */
  readonly owner: string;
  readonly ttlMs: number;
  /** Told about every renewal that failed; the next one comes by itself. */
  readonly onError: (error: unknown) => void;
}

/** How much of the TTL before its end a lease is no longer trusted, as a fraction: what the two clocks may differ in speed. */
const TRUST_MARGIN = 0.15;

interface Kept {
  readonly lease: HeldLease;
  readonly lost: AbortController;
  trustedUntil: number;
  deadline: NodeJS.Timeout;
}

/**
 * Keeps leases alive: one statement renews all of them at a third of the TTL. A lease whose renewal does not come through in
 * time, measured on the monotonic clock from before the request, is given up before anybody else can have it. A process that
 * was stopped may still be late to notice: what it writes must carry the token.
 */
export class LeaseKeeper {
  private readonly kept = new Map<string, Kept>();
  private readonly losses: LossLog;
  private readonly timer: NodeJS.Timeout;
  private renewing = false;
  private closed = false;

  constructor(
    private readonly leases: Leases,
    private readonly options: LeaseKeeperOptions,
  ) {
    this.losses = new LossLog(leases, options);
    this.timer = setInterval(() => void this.renew(), options.ttlMs / 3);
  }

  /** The leases that can be trusted now. */
  get held(): readonly HeldLease[] {
    const now = performance.now();
    return [...this.kept.values()].filter((kept) => now < kept.trustedUntil).map((kept) => kept.lease);
  }

  /**
   * Takes a lease and keeps it. `lost` is aborted when it is gone for whatever reason, release included. Taking one's own
   * again ends the first hold. Undefined = somebody else holds it.
   */
  async acquire(name: LeaseName): Promise<{ lease: HeldLease; lost: AbortSignal } | undefined> {
    const askedAt = performance.now();
    const lease = await this.leases.acquire(name, this.options.owner, this.options.ttlMs);
    if (!lease) return undefined;
    const before = this.kept.get(leaseKey(lease));
    // Of two attempts at the same time, the higher token is the one that counts.
    if (before && before.lease.token > lease.token) return undefined;
    if (before) this.drop(before);
    if (this.closed) {
      await this.leases.release(lease);
      return undefined;
    }
    const trustedUntil = this.trustedFrom(askedAt);
    if (performance.now() >= trustedUntil) return undefined;
    const kept: Kept = { lease, lost: new AbortController(), trustedUntil, deadline: this.watch(lease, trustedUntil) };
    this.kept.set(leaseKey(lease), kept);
    return { lease, lost: kept.lost.signal };
  }

  /** Lets a lease go. What it protects must have ended. */
  async release(name: LeaseName): Promise<void> {
    const kept = this.kept.get(leaseKey(name));
    if (!kept) return;
    this.drop(kept);
    await this.leases.release(kept.lease);
  }

  /** Stops renewing and lets all of them go. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await Promise.all([...this.kept.values()].map((kept) => this.release(kept.lease)));
  }

  private async renew(): Promise<void> {
    void this.losses.flush();
    if (this.renewing || this.kept.size === 0) return;
    this.renewing = true;
    const askedAt = performance.now();
    const all = [...this.kept.values()];
    try {
      const { owner, ttlMs } = this.options;
      const leases = all.map((kept) => kept.lease);
      const held = await this.leases.renewAll(leases, owner, ttlMs);
      all.forEach((kept, i) => (held[i] ? this.trust(kept, askedAt) : this.lose(kept)));
    } catch (error) {
      this.options.onError(error);
    } finally {
      this.renewing = false;
    }
  }

  private trust(kept: Kept, askedAt: number): void {
    // It may have been given up while the answer was on its way, and the work it protects has been told.
    if (kept.lost.signal.aborted) return;
    clearTimeout(kept.deadline);
    kept.trustedUntil = this.trustedFrom(askedAt);
    kept.deadline = this.watch(kept.lease, kept.trustedUntil);
  }

  private watch(lease: HeldLease, trustedUntil: number): NodeJS.Timeout {
    return setTimeout(() => {
      const kept = this.kept.get(leaseKey(lease));
      if (kept?.lease.token === lease.token) this.lose(kept);
    }, trustedUntil - performance.now());
  }

  private lose(kept: Kept): void {
    // One that was released meanwhile has not been lost.
    if (this.kept.get(leaseKey(kept.lease)) === kept) this.losses.add(kept.lease);
    this.drop(kept);
  }

  private drop(kept: Kept): void {
    clearTimeout(kept.deadline);
    if (this.kept.get(leaseKey(kept.lease)) === kept) this.kept.delete(leaseKey(kept.lease));
    kept.lost.abort();
  }

  private trustedFrom(askedAt: number): number {
    return askedAt + this.options.ttlMs * (1 - TRUST_MARGIN);
  }
}
