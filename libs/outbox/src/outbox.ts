import type { StateStore, Tx } from '@tyrum/statestore';
import type { EventScope, OutboxEvent, Position, StoredEvent } from './outbox-event';
import { isBefore } from './position';
import { appendEventRows } from './sql/append-events';
import { findCursor, saveCursorRow } from './sql/keep-cursor';
import { pruneEventRows } from './sql/prune-events';
import { findHead, findPruned, findStall, readEventRows } from './sql/read-events';

/**
 * Appends events to the commit of the change they describe. Events of conversations come with their sequence numbers, and
 * the transaction has locked those conversations before its first write.
 */
export async function appendEvents(tx: Tx, events: readonly OutboxEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({
    tenant_id: event.tenantId,
    event_id: event.eventId,
    type: event.type,
    scope_kind: event.scope.kind,
    scope_id: event.scope.id ?? null,
    conversation_key: event.conversationKey ?? null,
    conversation_seq: event.conversationSeq ?? null,
    turn_id: event.turnId ?? null,
    payload: JSON.stringify(event.payload),
    occurred_at: event.occurredAt,
  }));
  await tx.query(appendEventRows, [JSON.stringify(rows)]);
}

/** What a read came to. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where to go on. */
  readonly position: Position;
  /** True: events between the given position and the first one here are gone, or the position is of another database. */
  readonly gap: boolean;
}

interface EventRow {
  readonly id: string;
  readonly xid: string;
  readonly tenant_id: string;
  readonly event_id: string;
  readonly type: string;
  readonly scope_kind: EventScope['kind'];
  readonly scope_id: string | null;
  readonly conversation_key: string | null;
  readonly conversation_seq: number | null;
  readonly turn_id: string | null;
  readonly payload: string;
  readonly occurred_at: number;
}

const PRUNED = '#pruned';

/** Reads committed events in an order in which nothing that commits late can be missed. */
export class OutboxReader {
  constructor(private readonly store: StateStore) {}

  /** The place of a reader that begins now: nothing committed before, nothing that commits later is missed. */
  async head(): Promise<Position> {
    const [row] = await this.store.read((db) => db.query<Position>(findHead));
    if (!row) throw new Error('outbox_epoch has its row since the first migration');
    return row;
  }

  /** Up to `limit` events after `position`. */
  async readAfter(position: Position, limit: number): Promise<EventPage> {
    const rows = await this.store.read((db) => db.query<EventRow>(readEventRows, [position.xid, position.id, limit]));
    const events = rows.map((row) => toEvent(row, position.epoch));
    return { events, position: events.at(-1)?.position ?? position, gap: false };
  }

  /** The same for a position that comes from outside or from another time: says when something is missing in between. */
  async resumeAfter(position: Position, limit: number): Promise<EventPage> {
    const head = await this.head();
    const [pruned] = await this.store.read((db) => db.query<Omit<Position, 'epoch'>>(findPruned));
    if (position.epoch !== head.epoch) return { events: [], position: head, gap: true };
    const gap = pruned !== undefined && isBefore(position, { epoch: head.epoch, ...pruned });
    return { ...(await this.readAfter(position, limit)), gap };
  }

  async loadCursor(consumer: string): Promise<Position | undefined> {
    const [row] = await this.store.read((db) => db.query<Position>(findCursor, [consumer]));
    return row;
  }

  async saveCursor(consumer: string, position: Position): Promise<void> {
    await this.store.execute(saveCursorRow, [consumer, position.xid, position.id]);
  }

  /** How long the oldest committed event has had to wait for a transaction that is still open, in milliseconds. */
  async stallMs(): Promise<number> {
    const [row] = await this.store.read((db) => db.query<{ stall_ms: number | null }>(findStall));
    return Math.max(0, row?.stall_ms ?? 0);
  }
}

/** Deletes up to `limit` events older than `olderThanMs`. Returns how many; fewer than `limit` = nothing is left to delete. */
export async function pruneOutbox(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
  return store.transaction(async (tx) => {
    const rows = await tx.query<{ xid: string; id: string; deleted?: number }>(pruneEventRows, [olderThanMs, limit]);
    const last = rows.reduce((a, b) => (BigInt(a.id) > BigInt(b.id) ? a : b), rows[0] ?? { xid: '0', id: '0' });
    if (rows.length > 0) await tx.query(saveCursorRow, [PRUNED, last.xid, last.id]);
    return rows[0]?.deleted ?? rows.length;
  });
}

function toEvent(row: EventRow, epoch: string): StoredEvent {
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
    position: { epoch, xid: row.xid, id: row.id },
  };
}
