import type { Param, StateStore } from '@tyrum/statestore';
import type { Position } from './outbox-event';
import { betweenRows } from './position';
import { ackEdgeSlot, ackEdgeSlotWithBeat } from './sql/ack-edge-slot';
import { pruneEdgeSlotRows } from './sql/prune-edge-slots';
import { takeEdgeSlot } from './sql/take-edge-slot';

export interface EdgeSlotOptions {
  /** The edge's name, the same after a restart. */
  readonly slot: string;
  /** This process: no two starts give the same. */
  readonly holder: string;
  /** Without a word for so long, the edge counts as gone, by the database's clock. In ms. */
  readonly ttlMs?: number;
  /** The most often that progress is written down, in ms: what lies between two writes is read again after a crash. */
  readonly ackMs?: number;
  /** A heartbeat that is due, to be taken along by an acknowledgement. */
  readonly beat?: () => readonly Param[] | undefined;
  readonly onError: (error: unknown) => void;
  /** Another process runs under the same name. Told once; this one writes nothing to the slot any more. */
  readonly onLost: () => void;
}

const DEFAULT_TTL_MS = 15_000;
const DEFAULT_ACK_MS = 1_000;

/**
 * The place an edge keeps in the outbox across restarts.
 *
 *     new name ── take ──▶ at the head ┐                       ┌─ leave ──▶ gone, place kept
 *     known name ─ take ─▶ where it was ┴─▶ alive ── ack … ack ─┴─ silence ─▶ gone after the TTL, place kept
 *
 * Progress and heartbeat are one write, at most one per `ackMs` however many events pass: an acknowledgement a row is what
 * made other outboxes slow. A start under the same name takes the slot over at once, because the process before it has
 * ended; should it still run, the holder in the WHERE clause keeps it from moving the place back.
 */
export class EdgeSlot {
  private position: Position;
  private acked: Position;
  private ackedAt = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private lost = false;

  private constructor(
    private readonly store: StateStore,
    private readonly options: EdgeSlotOptions,
    /** Where to go on reading. */
    readonly from: Position,
  ) {
    this.position = from;
    this.acked = from;
  }

  /** Becomes the slot's holder. @throws {StoreUnavailableError} */
  static async take(store: StateStore, options: EdgeSlotOptions): Promise<EdgeSlot> {
    const { slot, holder, ttlMs = DEFAULT_TTL_MS } = options;
    const [from] = await store.execute<Position>(takeEdgeSlot, [slot, holder, ttlMs]);
    if (!from) throw new Error('outbox_epoch has its row since the first migration');
    return new EdgeSlot(store, options, from);
  }

  /** Begins to write progress and heartbeats. */
  start(): void {
    const { ackMs = DEFAULT_ACK_MS } = this.options;
    this.timer ??= setInterval(() => void this.ack(), ackMs).unref();
  }

  /** Everything up to here has been handled. Costs nothing; it is written down with the next acknowledgement. */
  passed(position: Position): void {
    this.position = betweenRows(position);
  }

  /** Writes progress down if there is any, or if it is time to say that we are alive. Never rejects. */
  ack(): Promise<void> {
    const { ttlMs = DEFAULT_TTL_MS, ackMs = DEFAULT_ACK_MS } = this.options;
    // It is asked once per `ackMs`: a third of the TTL at the latest, so that the heartbeat that is due then need not go alone.
    const isDue = performance.now() - this.ackedAt >= ttlMs / 3 - ackMs;
    if (!isDue && same(this.position, this.acked)) return this.writing;
    return this.write(ttlMs);
  }

  /** Writes the last progress down and leaves: what is on its way to this edge goes back to its origins at once. */
  async leave(): Promise<void> {
    clearInterval(this.timer);
    await this.write(0);
  }

  /** One write after the other: they must not overtake each other. */
  private write(ttlMs: number): Promise<void> {
    this.writing = this.writing.then(async () => {
      const { slot, holder, onError, onLost } = this.options;
      const { position } = this;
      if (this.lost) return;
      try {
        const place = [position.epoch, position.xid, position.id];
        const beat = this.options.beat?.();
        const params = [slot, holder, ttlMs, ...place, ...(beat ?? [])];
        const rows = await this.store.execute(beat ? ackEdgeSlotWithBeat : ackEdgeSlot, params);
        this.acked = position;
        this.ackedAt = performance.now();
        if (rows.length > 0) return;
        this.lost = true;
        onLost();
      } catch (error) {
        onError(error);
      }
    });
    return this.writing;
  }
}

/** Forgets up to `limit` slots whose edges have been gone for `olderThanMs`: one that comes back begins at the head. */
export async function pruneEdgeSlots(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
  return (await store.execute(pruneEdgeSlotRows, [olderThanMs, limit])).length;
}

function same(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.xid === b.xid && a.id === b.id;
}
