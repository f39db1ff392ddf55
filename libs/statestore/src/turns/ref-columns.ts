import type { ConversationRef } from '../state-store';
import type { QueueRow } from './turn-rows';

/** A conversation as statements name it. */
export interface RefColumns {
  readonly tenant_id: string;
  readonly conversation_key: string;
}
export interface Counters extends RefColumns {
  readonly state: QueueRow['state'];
  readonly last_turn_seq: number;
  readonly last_message_seq: number;
  readonly last_event_seq: number;
}
export function refColumns(ref: ConversationRef): RefColumns {
  return { tenant_id: ref.tenantId, conversation_key: ref.conversationKey };
}

export function rowKey(row: RefColumns): string {
  return `${row.tenant_id}/${row.conversation_key}`;
}

export function byKey<Row extends RefColumns>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [rowKey(row), row]));
}

/** A row the statement must have returned; its absence is our own mistake, not an operating error. */
export function required<Row>(rows: Map<string, Row>, key: string): Row {
  const row = rows.get(key);
  if (!row) throw new Error(`no counters came back for conversation ${key}`);
  return row;
}
