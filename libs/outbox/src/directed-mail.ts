import type { StateStore, Tx } from '@tyrum/statestore';
import { collectReturned } from './sql/collect-returned';
import { pruneDirectedRows } from './sql/prune-directed';
import { returnUndeliverable } from './sql/return-undeliverable';
import { insertDirected } from './sql/send-directed';
import { settleDirected } from './sql/settle-directed';
import { findDirected } from './sql/take-directed';

/** A message for one connection of one edge. */
export interface DirectedMessage {
  /** Sending the same id again changes nothing. */
  readonly messageId: string;
  readonly tenantId: string;
  /** The edge that owns the connection. */
  readonly slot: string;
  readonly connectionId: string;
  /** Whom it goes back to, a name that outlives processes. */
  readonly origin: string;
  /** The frame, as the peer gets it. */
  readonly payload: string;
  /** After so long it goes back undelivered, in ms. */
  readonly deliverWithinMs: number;
}

/** A message its edge has to deliver now. */
export type WaitingMessage = Pick<DirectedMessage, 'messageId' | 'tenantId' | 'connectionId' | 'payload'>;

/** A message that came back. `edge_gone`: it may have been delivered just before, so its receiver must know duplicates. */
export interface ReturnedMessage extends WaitingMessage {
  readonly slot: string;
  readonly reason: 'not_connected' | 'edge_gone' | 'too_late';
}

/** What an edge made of a message; without a reason it was handed to the connection. */
export interface DeliveryOutcome {
  readonly messageId: string;
  readonly reason?: 'not_connected';
}

interface MessageRow {
  message_id: string;
  tenant_id: string;
  slot: string;
  connection_id: string;
  payload: string;
  reason: ReturnedMessage['reason'];
}

/**
 * Messages to single connections, which only one edge can deliver:
 *
 *     send ──▶ queued ── its edge hands it over ─────────────▶ delivered ── retention
 *                └── connection unknown, edge gone, too late ─▶ returned ── collect: back at its origin
 *
 * None is dropped: it is delivered at least once, or it comes back. Which of the two is decided by the state in the WHERE
 * clause; whether an edge is alive, by the database's clock and never by a timer of ours.
 */
export class DirectedMail {
  constructor(private readonly store: StateStore) {}

  /** Queues messages in the commit of the change they belong to. Publish `directed` afterwards. */
  async send(tx: Tx, messages: readonly DirectedMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const rows = messages.map((message) => ({
      message_id: message.messageId,
      tenant_id: message.tenantId,
      slot: message.slot,
      connection_id: message.connectionId,
      origin: message.origin,
      payload: message.payload,
      deliver_within_ms: message.deliverWithinMs,
    }));
    await tx.query(insertDirected, [JSON.stringify(rows)]);
  }

  /** What waits for this edge, oldest first; nothing once it counts as gone. */
  async waiting(slot: string, holder: string, limit: number): Promise<WaitingMessage[]> {
    const rows = await this.store.read((db) => db.query<MessageRow>(findDirected, [slot, holder, limit]));
    return rows.map(toMessage);
  }

  /** Notes what became of them, all at once. Returns how many were still the edge's to settle. */
  async settle(slot: string, outcomes: readonly DeliveryOutcome[]): Promise<number> {
    if (outcomes.length === 0) return 0;
    const rows = outcomes.map(({ messageId, reason = null }) => ({ message_id: messageId, reason }));
    return (await this.store.execute(settleDirected, [JSON.stringify(rows), slot])).length;
  }

  /** Sends back up to `limit` messages whose edge is gone or whose time is over. Returns how many. */
  async returnUndeliverable(limit: number): Promise<number> {
    return (await this.store.execute(returnUndeliverable, [limit])).length;
  }

  /** Takes what came back to `origin`: it is gone with this transaction's commit, together with what the origin makes of it. */
  async collect(tx: Tx, origin: string, limit: number): Promise<ReturnedMessage[]> {
    const rows = await tx.query<MessageRow>(collectReturned, [origin, limit]);
    return rows.map((row) => ({ ...toMessage(row), slot: row.slot, reason: row.reason }));
  }

  /** Forgets up to `limit` messages that were settled `olderThanMs` ago. */
  async prune(olderThanMs: number, limit: number): Promise<number> {
    return (await this.store.execute(pruneDirectedRows, [olderThanMs, limit])).length;
  }
}

function toMessage(row: MessageRow): WaitingMessage {
  return {
    messageId: row.message_id,
    tenantId: row.tenant_id,
    connectionId: row.connection_id,
    payload: row.payload,
  };
}
