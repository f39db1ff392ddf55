/**
 * What an edge leaves behind for its next start, and what is on its way to one connection.
 *
 * `edge_slot`: how far the edge of that name has read the outbox, and until when it counts as alive. The place carries its
 * epoch, so that a restored database tells the edge of a gap instead of misreading the place.
 */
export const edgeSlotsPostgres: readonly string[] = [
  `create table edge_slot (
    slot text primary key,
    holder text not null,
    expires_at bigint not null,
    epoch text not null,
    xid xid8 not null,
    id bigint not null
  ) with (fillfactor = 50)`,
  `create table directed_message (
    id bigint generated always as identity primary key,
    message_id uuid not null unique,
    tenant_id uuid not null,
    slot text not null,
    connection_id text not null,
    origin text not null,
    payload text not null,
    state text not null check (state in ('queued', 'delivered', 'returned')),
    reason text check (reason in ('not_connected', 'edge_gone', 'too_late')),
    created_at bigint not null,
    deliver_by bigint not null,
    settled_at bigint,
    check ((state = 'queued') = (settled_at is null)),
    check ((state = 'returned') = (reason is not null))
  )`,
  `create index directed_message_queued on directed_message (slot, id) where state = 'queued'`,
  `create index directed_message_returned on directed_message (origin, id) where state = 'returned'`,
  `create index directed_message_settled on directed_message (settled_at) where settled_at is not null`,
];
