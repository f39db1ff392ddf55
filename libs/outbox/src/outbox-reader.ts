import type { Reader, StateStore } from '@tyrum/statestore';
import type { Position, StoredEvent } from './outbox-event';
import { betweenRows } from './position';
import { fromRow } from './row-text';
import { findHead } from './sql/find-head';
import { findCursor, saveCursorRow } from './sql/keep-cursor';
import { listEdgeLags } from './sql/list-edge-lags';
import { measureLag } from './sql/measure-lag';
import { readEventRows, type EventRow } from './sql/read-events';

/** What a page of events reads at once: full rows hold about ten events each. */
const ROWS_AT_ONCE = 100;

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
  /** There may be more that can be read already. */
  readonly more: boolean;
  /** Committed events exist that must wait for an older transaction: look again soon, nothing will say so. */
  readonly waiting: boolean;
}

/** Ages in milliseconds. */
export interface OutboxLag {
  /** How long the oldest committed event has had to wait for a transaction that is still open. */
  readonly stallMs: number;
  /** How long the oldest transaction that has written is open, events or not. 0 on SQLite. */
  readonly oldestWriterMs: number;
  /** Readable rows after the position, each of one event or some; counting stops at 10,000. */
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

  /** The events of up to `limit` rows after `position`. */
  async readAfter(position: Position, limit: number): Promise<EventPage> {
    const place = betweenRows(position);
    const params = [place.xid, place.id, limit, place.epoch, position.id];
    const rows = await this.store.read((db) => db.query<EventRow>(readEventRows, params));
    const [first] = rows;
    if (!first) throw new Error('outbox_epoch has its row since the first migration');
    if (first.is_foreign) return { events: [], position: await this.head(), gap: true, more: false, waiting: false };
    const found = rows.flatMap((row) =>
      row.id === null ? [] : [{ row, end: { ...place, xid: row.xid, id: row.id } }],
    );
    // With nothing left after it, a pruned position must move, or it would be told of the same gap for ever.
    const pruned = { ...place, xid: first.pruned_xid ?? '0', id: first.pruned_id ?? '0' };
    return {
      events: found.flatMap(({ row, end }) => eventsAfter(position, fromRow(row, end), end)),
      position: found.at(-1)?.end ?? (first.is_pruned ? pruned : position),
      gap: Boolean(first.is_pruned),
      more: found.length === limit,
      waiting: Boolean(first.is_waiting),
    };
  }

  /** The next `limit` events after `position`, or as many as there are before a gap. */
  async take(position: Position, limit: number): Promise<EventPage> {
    let page = await this.readAfter(position, Math.min(limit, ROWS_AT_ONCE));
    while (page.more && page.events.length < limit) {
      const next = await this.readAfter(page.position, Math.min(limit - page.events.length, ROWS_AT_ONCE));
      // Retention has overtaken this reader: whoever goes on from here is told so.
      if (next.gap) break;
      page = { ...next, gap: page.gap, events: [...page.events, ...next.events] };
    }
    if (page.events.length <= limit) return page;
    const events = page.events.slice(0, limit);
    return { ...page, events, position: events.at(-1)?.position ?? position, more: true };
  }

  /** How far a consumer had come when it last said so. */
  async loadCursor(consumer: string): Promise<Position | undefined> {
    const [row] = await this.store.read((db) => db.query<Position>(findCursor, [consumer]));
    return row;
  }

  /** Costs a commit: save once for many events. */
  async saveCursor(consumer: string, position: Position): Promise<void> {
    const { xid, id } = betweenRows(position);
    await this.store.execute(saveCursorRow, [consumer, xid, id]);
  }

  /** How far behind a reader at `position` is, and what holds every reader back. */
  async lag(position: Position): Promise<OutboxLag> {
    type Row = { stall_ms: number | null; writer_ms: number | null; rows_behind: number };
    const place = betweenRows(position);
    const [row] = await this.store.read((db) => db.query<Row>(measureLag, [place.xid, place.id]));
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

/** The events of the row that ends at `end`, without those that lie before a position inside it. */
function eventsAfter(position: Position, events: StoredEvent[], end: Position): StoredEvent[] {
  const isInside = position.taken !== undefined && position.xid === end.xid && position.id === end.id;
  return isInside ? events.slice(position.taken) : events;
}
