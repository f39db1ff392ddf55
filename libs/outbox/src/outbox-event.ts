/** A fact that was committed together with the change it describes. */
export interface OutboxEvent {
  readonly eventId: string;
  readonly tenantId: string;
  readonly type: string;
  readonly scope: EventScope;
  readonly conversationKey?: string;
  /** Its place in its conversation: 1, 2, 3, … without a gap. */
  readonly conversationSeq?: number;
  readonly turnId?: string;
  readonly payload: object;
  /** Milliseconds since the epoch. */
  readonly occurredAt: number;
}

export interface EventScope {
  readonly kind: 'global' | 'agent' | 'conversation' | 'turn' | 'node' | 'client';
  /** Absent for `global`. */
  readonly id?: string;
}

/** An event as a reader gets it, with the place after it. */
export interface StoredEvent extends OutboxEvent {
  readonly position: Position;
}

/**
 * A place between two events. A row holds some events of one commit; rows are ordered by writing transaction, then by id. Both
 * are decimal text because a transaction id has 64 bits. On SQLite `xid` is always "0".
 */
export interface Position {
  readonly epoch: string;
  readonly xid: string;
  readonly id: string;
  /** How many of the events of row `id` lie before this place; absent: all. */
  readonly taken?: number;
}
