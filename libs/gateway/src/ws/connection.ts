import { LIMITS } from '@tyrum/protocol';
import type { Peer } from './handshake';
import type { SocketLink } from './socket-link';

/** An established connection: who it is, and how much it has asked for. */
export class Connection {
  private readonly running = new Set<Promise<unknown>>();

  constructor(
    readonly peer: Peer,
    readonly link: SocketLink,
    /** Whether its token lets it see the tenant's events. */
    readonly readsEvents: boolean,
  ) {}

  get isBusy(): boolean {
    return this.running.size >= LIMITS.requestsInFlightPerConnection;
  }

  /** Counts `work` as in flight until it settles. It must not reject. */
  track(work: Promise<unknown>): void {
    this.running.add(work);
    void work.finally(() => this.running.delete(work));
  }

  /** Resolves when every request that is in flight now has been answered. */
  async answered(): Promise<void> {
    await Promise.all(this.running);
  }
}
