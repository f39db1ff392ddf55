import { LeaseKeeper, type HeldLease, type Leases } from '@tyrum/leases';
import { DESKTOP_HOST_LEASE_KIND, type DesktopHosts, type HostDescription } from './desktop-hosts';

export interface HostRegistrationOptions {
  readonly leaseTtlMs: number;
  /** How often `last_seen_at` is written. Whether the host is online is told by its lease, so this may be slow. */
  readonly heartbeatMs?: number;
  /** How often a host that is not ours is tried again. */
  readonly retryMs?: number;
  readonly onTrouble: (what: string, error: unknown) => void;
}

const DEFAULT_HEARTBEAT_MS = 10_000;
const DEFAULT_RETRY_MS = 2_000;

/**
 * This process's claim to be its host. Two processes with one host id (a copied home, a restart that overlaps) must not
 * both act: the lease lets one through, and the other says why it is not ready until the first is gone.
 *
 *     waiting ──lease acquired, row written──▶ registered ──lease lost, row taken──▶ waiting
 */
export class HostRegistration {
  private readonly keeper: LeaseKeeper;
  private obstacle: string | undefined = 'has not been registered yet';
  private held: { readonly lease: HeldLease; readonly lost: AbortSignal } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly hosts: DesktopHosts,
    private readonly leases: Leases,
    readonly host: HostDescription,
    private readonly options: HostRegistrationOptions,
  ) {
    const onError = (error: unknown) => options.onTrouble('renew the lease on the host', error);
    this.keeper = new LeaseKeeper(leases, { owner: host.instanceId, ttlMs: options.leaseTtlMs, onError });
  }

  /** The lease on the host, and when it is lost, while this process may act as it. */
  get hold(): { readonly lease: HeldLease; readonly lost: AbortSignal } | undefined {
    return this.obstacle === undefined && !this.held?.lost.aborted ? this.held : undefined;
  }

  /** Resolves after the first attempt, whatever came of it. */
  start(): Promise<void> {
    this.beat();
    return this.running;
  }

  /** @throws {Error} with what keeps this process from acting as its host */
  requireRegistered(): void {
    if (this.obstacle !== undefined) throw new Error(`the host ${this.host.hostId} ${this.obstacle}`);
  }

  /** Gives the host back, so that the next process need not wait for the lease's expiry. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
    this.obstacle = 'has been given back';
    try {
      await this.keeper.close();
    } catch (error) {
      this.options.onTrouble('give the host back', error);
    }
  }

  private beat(): void {
    this.running = this.attempt()
      .catch((error: unknown) => this.options.onTrouble('keep the host registered', error))
      .finally(() => {
        if (this.stopped) return;
        const { heartbeatMs = DEFAULT_HEARTBEAT_MS, retryMs = DEFAULT_RETRY_MS } = this.options;
        this.timer = setTimeout(() => this.beat(), this.obstacle === undefined ? heartbeatMs : retryMs);
      });
  }

  private async attempt(): Promise<void> {
    if (this.keeper.held.length > 0 && this.obstacle === undefined) {
      if (await this.hosts.touch(this.host)) return;
      this.obstacle = 'was registered by another process';
    }
    await this.claim();
  }

  private async claim(): Promise<void> {
    const name = { kind: DESKTOP_HOST_LEASE_KIND, name: this.host.hostId };
    const acquired = await this.keeper.acquire(name);
    if (!acquired) {
      const rows = await this.leases.list(DESKTOP_HOST_LEASE_KIND);
      const owner = rows.find((row) => row.name === this.host.hostId)?.owner ?? 'another process';
      this.obstacle = `is held by ${owner}: two runtimes must not share one home`;
      return;
    }
    this.held = acquired;
    acquired.lost.addEventListener('abort', () => {
      this.obstacle = 'has lost its lease';
    });
    const registered = await this.hosts.register(this.host, acquired.lease);
    this.obstacle = registered && !acquired.lost.aborted ? undefined : 'has lost its lease';
  }
}
