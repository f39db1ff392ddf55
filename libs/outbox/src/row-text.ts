import type { EventScope, OutboxEvent, Position, StoredEvent } from './outbox-event';

/** A row of the outbox: events of one tenant, of one commit and one moment. */
export interface OutboxRow {
  readonly tenant_id: string;
  /** A JSON array of events. */
  events: string;
  /** Milliseconds since the epoch. */
  readonly occurred_at: number;
}

/** An event in a row's JSON. What it has not is absent, or null in what a process of the version before wrote. */
interface EventJson {
  readonly event_id: string;
  readonly type: string;
  readonly scope_kind: EventScope['kind'];
  /** Absent: the event's own turn or conversation. Null: the scope has none. */
  readonly scope_id?: string | null;
  readonly conversation_key?: string | null;
  readonly conversation_seq?: number | null;
  readonly turn_id?: string | null;
  readonly payload: object;
}

/** Two rows of so many UTF-16 code units, with their headers, fit into a page of Postgres' heap. */
const ROW_LENGTH = 3_900;

/**
 * Events in as few rows as they fit in, each tenant's in its order. What a row costs is the row and not what stands in it: an
 * insert into heap and index, a WAL record, an identity, and one more to be read by every edge.
 */
export function toRows(events: readonly OutboxEvent[]): OutboxRow[] {
  const rows: OutboxRow[] = [];
  const lastOf = new Map<string, OutboxRow>();
  for (const event of events) {
    const text = JSON.stringify(toJson(event));
    const last = lastOf.get(event.tenantId);
    if (last && last.occurred_at === event.occurredAt && last.events.length + text.length < ROW_LENGTH) {
      last.events += `,${text}`;
    } else {
      const row = { tenant_id: event.tenantId, events: `[${text}`, occurred_at: event.occurredAt };
      lastOf.set(event.tenantId, row);
      rows.push(row);
    }
  }
  for (const row of rows) row.events += ']';
  return rows;
}

/** The events of a row, in order. @param end the place after the row */
export function fromRow({ tenant_id, events, occurred_at }: Readonly<OutboxRow>, end: Position): StoredEvent[] {
  const all = JSON.parse(events) as EventJson[];
  return all.map((event, i) => ({
    eventId: event.event_id,
    tenantId: tenant_id,
    type: event.type,
    scope: scopeOf(event),
    conversationKey: event.conversation_key ?? undefined,
    conversationSeq: event.conversation_seq ?? undefined,
    turnId: event.turn_id ?? undefined,
    payload: event.payload,
    occurredAt: occurred_at,
    position: i + 1 === all.length ? end : { ...end, taken: i + 1 },
  }));
}

function scopeOf({ scope_kind: kind, scope_id, conversation_key, turn_id }: EventJson): EventScope {
  const id = scope_id === undefined ? ownScopeId(kind, conversation_key, turn_id) : scope_id;
  return { kind, id: id ?? undefined };
}

function toJson(event: OutboxEvent): EventJson {
  const { kind, id } = event.scope;
  return {
    event_id: event.eventId,
    type: event.type,
    scope_kind: kind,
    scope_id: id === ownScopeId(kind, event.conversationKey, event.turnId) ? undefined : (id ?? null),
    conversation_key: event.conversationKey,
    conversation_seq: event.conversationSeq,
    turn_id: event.turnId,
    payload: event.payload,
  };
}

function ownScopeId<Id>(kind: EventScope['kind'], conversationKey: Id, turnId: Id): Id | undefined {
  if (kind === 'turn') return turnId;
  return kind === 'conversation' ? conversationKey : undefined;
}
