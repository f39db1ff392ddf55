import type { HeldLease, LeaseName, Leases } from './leases';

export interface LeaseKeeperOptions {
  readonly owner: string;
  readonly ttlMs: number;
  readonly onError: (error: unknown) => void;
}

/** How much of the TTL before its end a lease is no longer trusted, as a fraction. */
const TRUST_MARGIN = 0.15;

interface Kept {
  readonly lease: HeldLease;
  readonly lost: AbortController;
  trustedUntil: number;
}

/**
 * Keeps leases alive: one statement renews all of them at a third of the TTL. A lease whose renewal does not come through in
 * time, measured on the monotonic clock from before the request, is given up before anybody else can have it.
 */
export class LeaseKeeper {
  private readonly kept = new Map<string, Kept>();
  private readonly timer: NodeJS.Timeout;
  private renewing = false;

  constructor(
    private readonly leases: Leases,
    private readonly options: LeaseKeeperOptions,
  ) {
    this.timer = setInterval(() => void this.renew(), options.ttlMs / 3);
  }

  /** The leases held now. */
  get held(): readonly HeldLease[] {
    return [...this.kept.values()].map((kept) => kept.lease);
  }

  /** Takes a lease and keeps it. `lost` is aborted when it is gone for whatever reason. Undefined = somebody else holds it. */
  async acquire(name: LeaseName): Promise<{ lease: HeldLease; lost: AbortSignal } | undefined> {
    const askedAt = performance.now();
    const lease = await this.leases.acquire(name, this.options.owner, this.options.ttlMs);
    if (!lease) return undefined;
    const kept = { lease, lost: new AbortController(), trustedUntil: this.trustedFrom(askedAt) };
    this.kept.set(keyOf(lease), kept);
    return { lease, lost: kept.lost.signal };
  }

  async release(name: LeaseName): Promise<void> {
    const kept = this.kept.get(keyOf(name));
    if (!kept) return;
    this.drop(kept);
    await this.leases.release(kept.lease);
  }

  /** Stops renewing and lets all of them go. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all([...this.kept.values()].map((kept) => this.release(kept.lease)));
  }

  private async renew(): Promise<void> {
    this.dropUntrusted();
    if (this.renewing || this.kept.size === 0) return;
    this.renewing = true;
    const askedAt = performance.now();
    const all = [...this.kept.values()];
    try {
      const { owner, ttlMs } = this.options;
      const held = await this.leases.renewAll(all.map((kept) => kept.lease), owner, ttlMs);
      all.forEach((kept, i) => {
        if (held[i]) kept.trustedUntil = this.trustedFrom(askedAt);
        else this.drop(kept);
      });
    } catch (error) {
      this.options.onError(error);
    } finally {
      this.renewing = false;
    }
  }

  /** Also while a renewal hangs, which is when it matters. */
  private dropUntrusted(): void {
    const now = performance.now();
    for (const kept of this.kept.values()) if (now >= kept.trustedUntil) this.drop(kept);
  }

  private drop(kept: Kept): void {
    this.kept.delete(keyOf(kept.lease));
    kept.lost.abort();
  }

  private trustedFrom(askedAt: number): number {
    return askedAt + this.options.ttlMs * (1 - TRUST_MARGIN);
  }
}

function keyOf({ kind, name }: LeaseName): string {
  return `${kind}/${name}`;
}
