import type { Reader, StateStore } from '@tyrum/statestore';
import type { Position, StoredEvent } from './outbox-event';
import { findHead } from './sql/find-head';
import { findCursor, saveCursorRow } from './sql/keep-cursor';
import { listEdgeLags } from './sql/list-edge-lags';
import { measureLag } from './sql/measure-lag';
import { readEventRows, type EventRow } from './sql/read-events';

/** What a read came to. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where to go on. */
  readonly position: Position;
  /**
   * True: events between the given position and the first one here are gone, or the position is not of this database as it
   * is now; in the second case `events` is empty and `position` is the head. Whoever built state from events must reload it.
   */
  readonly gap: boolean;
  /** Committed events exist that must wait for an older transaction: look again soon, nothing will say so. */
  readonly waiting: boolean;
}

/** Ages in milliseconds. */
export interface OutboxLag {
  /** How long the oldest committed event has had to wait for a transaction that is still open. */
  readonly stallMs: number;
  /** How long the oldest transaction that has written is open, events or not. 0 on SQLite. */
  readonly oldestWriterMs: number;
  /** Readable events after the position; counting stops at 10,000. */
  readonly rowsBehind: number;
}

/**
 * Reads committed events in an order in which nothing that commits late can be missed.
 *
 * On Postgres a row carries the id of its transaction, ids are given out in order, and a reader takes only rows whose
 * transaction is older than every one still open anywhere on the server. So what is readable never grows in the middle:
 *
 *     xid    90    91    93  │  95    96    98        rows ordered by (xid, id)
 *            done  done done │ open   done  open
 *     readable ──────────────┘ xmin = 95: row 96 is committed and waits, or it would be handed out before 95's
 *
 * A row's identity alone would not do: it is given out at INSERT, and a reader that has seen 96 never looks for 95 again.
 * SQLite has one writer, so its row ids are in commit order.
 */
export class OutboxReader {
  constructor(private readonly store: StateStore) {}

  /** The place of a reader that begins now: nothing that commits from now on is missed. A few events may be from just before. */
  async head(): Promise<Position> {
    const [row] = await this.store.read((db) => db.query<Position>(findHead));
    if (!row) throw new Error('outbox_epoch has its row since the first migration');
    return row;
  }

  /** Up to `limit` events after `position`. */
  async readAfter(position: Position, limit: number): Promise<EventPage> {
    const params = [position.xid, position.id, limit, position.epoch];
    const rows = await this.store.read((db) => db.query<EventRow>(readEventRows, params));
    const [first] = rows;
    if (!first) throw new Error('outbox_epoch has its row since the first migration');
    if (first.is_foreign) return { events: [], position: await this.head(), gap: true, waiting: false };
    const events = rows.flatMap((row) => (row.id === null ? [] : [toEvent(row, row.id, position.epoch)]));
    // With nothing left after it, a pruned position must move, or it would be told of the same gap for ever.
    const pruned = { epoch: position.epoch, xid: first.pruned_xid ?? '0', id: first.pruned_id ?? '0' };
    return {
      events,
      position: events.at(-1)?.position ?? (first.is_pruned ? pruned : position),
      gap: Boolean(first.is_pruned),
      waiting: Boolean(first.is_waiting),
    };
  }

  /** How far a consumer had come when it last said so. */
  async loadCursor(consumer: string): Promise<Position | undefined> {
    const [row] = await this.store.read((db) => db.query<Position>(findCursor, [consumer]));
    return row;
  }

  /** Costs a commit: save once for many events. */
  async saveCursor(consumer: string, position: Position): Promise<void> {
    await this.store.execute(saveCursorRow, [consumer, position.xid, position.id]);
  }

  /** How far behind a reader at `position` is, and what holds every reader back. */
  async lag(position: Position): Promise<OutboxLag> {
    type Row = { stall_ms: number | null; writer_ms: number | null; rows_behind: number };
    const [row] = await this.store.read((db) => db.query<Row>(measureLag, [position.xid, position.id]));
    return {
      stallMs: Math.max(0, row?.stall_ms ?? 0),
      oldestWriterMs: Math.max(0, row?.writer_ms ?? 0),
      rowsBehind: row?.rows_behind ?? 0,
    };
  }
}

/** An edge's place in the outbox. `rows_behind` stops counting at 10,000. */
export interface EdgeLag {
  readonly slot: string;
  /** It has been heard of lately. */
  readonly alive: boolean;
  readonly rows_behind: number;
  /** Age of the first row behind its place, in ms; 0: there is none. */
  readonly behind_ms: number;
}

const MAX_EDGES = 1_000;

/** How far every edge is behind, those that are gone included. */
export async function readEdgeLags(db: Reader): Promise<EdgeLag[]> {
  const rows = await db.query<EdgeLag>(listEdgeLags, [MAX_EDGES]);
  return rows.map((row) => ({ ...row, alive: Boolean(row.alive), behind_ms: Math.max(0, row.behind_ms ?? 0) }));
}

function toEvent(row: EventRow, id: string, epoch: string): StoredEvent {
  return {
    eventId: row.event_id,
    tenantId: row.tenant_id,
    type: row.type,
    scope: { kind: row.scope_kind, ...(row.scope_id === null ? {} : { id: row.scope_id }) },
    ...(row.conversation_key === null ? {} : { conversationKey: row.conversation_key }),
    ...(row.conversation_seq === null ? {} : { conversationSeq: row.conversation_seq }),
    ...(row.turn_id === null ? {} : { turnId: row.turn_id }),
    payload: JSON.parse(row.payload) as object,
    occurredAt: row.occurred_at,
    position: { epoch, xid: row.xid, id },
  };
}
