import type { Backplane } from '@tyrum/backplane';
import type { PresenceEntry } from '@tyrum/protocol';
import { isTold, presenceOf, type PeerConnection, type PeerDirectory, type PeerDevice } from './peer-directory';

export interface PeerRegistryOptions {
  /** This edge, as its slot in the outbox knows it. */
  readonly edge: { readonly slot: string; readonly holder: string };
  /** How often it is checked that everybody is written down, in ms. */
  readonly checkMs?: number;
  readonly nowMs: () => number;
  readonly onError: (error: unknown) => void;
}

/** How long changes are gathered before they are written, in ms. */
const GATHER_MS = 20;
const BATCH = 500;
const DEFAULT_CHECK_MS = 20_000;
const RETRY_MS = 500;

/** What edges tell each other about presence: an entry, or the device that is gone. */
export type PresenceNote =
  | { readonly tenant_id: string; readonly upserted: PresenceEntry }
  | { readonly tenant_id: string; readonly pruned: string };

/**
 * One edge's own connections, and their way into the directory. Changes go there in batches. Another edge strikes them out
 * when this one was silent for too long; the check finds that and writes them again, so a stall heals by itself.
 */
export class PeerRegistry {
  private readonly peers = new Map<string, PeerConnection>();
  private readonly changed = new Set<string>();
  private readonly gone = new Map<string, PeerConnection>();
  private flushing: Promise<void> | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private checks: NodeJS.Timeout | undefined;

  constructor(
    private readonly directory: PeerDirectory,
    private readonly backplane: Backplane,
    private readonly options: PeerRegistryOptions,
  ) {}

  start(): void {
    const check = (): void => void this.check().catch(this.options.onError);
    this.checks = setInterval(check, this.options.checkMs ?? DEFAULT_CHECK_MS).unref();
  }

  /** Strikes out everybody who is still here; the process ends. */
  async stop(): Promise<void> {
    clearInterval(this.checks);
    for (const id of [...this.peers.keys()]) this.remove(id);
    await this.flush();
  }

  /** Makes a connection known; again, to change what is known of it. Written down a moment later. */
  put(peer: PeerConnection): PresenceEntry {
    this.peers.set(peer.connectionId, peer);
    this.changed.add(peer.connectionId);
    this.flushSoon();
    const entry = presenceOf(peer, this.options.nowMs());
    if (isTold(peer)) this.publish({ tenant_id: peer.tenantId, upserted: entry });
    return entry;
  }

  get(connectionId: string): PeerConnection | undefined {
    return this.peers.get(connectionId);
  }

  remove(connectionId: string): void {
    const peer = this.peers.get(connectionId);
    if (!peer) return;
    this.peers.delete(connectionId);
    this.changed.delete(connectionId);
    this.gone.set(connectionId, peer);
    this.flushSoon();
  }

  /** Resolves when all that has changed so far is written down. Never rejects. */
  async flush(): Promise<void> {
    while (this.flushing) await this.flushing;
    clearTimeout(this.gathering);
    this.gathering = undefined;
    if (this.changed.size === 0 && this.gone.size === 0) return;
    this.flushing = this.write().catch((error: unknown) => {
      this.options.onError(error);
      this.flushSoon(RETRY_MS);
    });
    await this.flushing;
    this.flushing = undefined;
  }

  /** Writes everybody down again if somebody is missing, and strikes out what other edges have left behind. */
  async check(): Promise<void> {
    await this.flush();
    const { edge } = this.options;
    if ((await this.directory.count(edge)) !== this.peers.size) {
      await this.directory.keepOnly(edge, [...this.peers.keys()]);
      for (const id of this.peers.keys()) this.changed.add(id);
      await this.flush();
      this.backplane.publish('nodes');
    }
    await this.tellGone(await this.directory.dropGone(BATCH));
  }

  private flushSoon(afterMs = GATHER_MS): void {
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      void this.flush();
    }, afterMs);
  }

  private async write(): Promise<void> {
    const ids = [...this.changed].slice(0, BATCH);
    const peers = ids.flatMap((id) => this.peers.get(id) ?? []);
    const gone = [...this.gone].slice(0, BATCH);
    await this.directory.put(this.options.edge, peers);
    await this.directory.drop(gone.map(([id]) => id));
    // What changed while it was written is written again.
    peers.forEach((peer) => {
      if (this.peers.get(peer.connectionId) === peer) this.changed.delete(peer.connectionId);
    });
    for (const [id] of gone) this.gone.delete(id);
    const left = gone.map(([, peer]) => peer);
    await this.tellGone(left.filter(isTold));
    const nodes = [...peers, ...left].some((peer) => peer.role === 'node');
    if (nodes) this.backplane.publish('nodes');
    if (this.changed.size > 0 || this.gone.size > 0) this.flushSoon(0);
  }

  private async tellGone(devices: readonly PeerDevice[]): Promise<void> {
    for (const { tenantId, deviceId } of await this.directory.absent(devices)) {
      this.publish({ tenant_id: tenantId, pruned: deviceId });
    }
  }

  private publish(note: PresenceNote): void {
    this.backplane.publish('presence', JSON.stringify(note));
  }
}
