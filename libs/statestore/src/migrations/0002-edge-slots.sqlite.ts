/** The SQLite twin of `0002-edge-slots.postgres.ts`: the same tables, columns and rules. */
export const edgeSlotsSqlite: readonly string[] = [
  `create table edge_slot (
    slot text primary key,
    holder text not null,
    expires_at integer not null,
    epoch text not null,
    xid integer not null,
    id integer not null
  )`,
  `create table directed_message (
    id integer primary key autoincrement,
    message_id text not null unique,
    tenant_id text not null,
    slot text not null,
    connection_id text not null,
    origin text not null,
    payload text not null,
    state text not null check (state in ('queued', 'delivered', 'returned')),
    reason text check (reason in ('not_connected', 'edge_gone', 'too_late')),
    created_at integer not null,
    deliver_by integer not null,
    settled_at integer,
    check ((state = 'queued') = (settled_at is null)),
    check ((state = 'returned') = (reason is not null))
  )`,
  `create index directed_message_queued on directed_message (slot, id) where state = 'queued'`,
  `create index directed_message_returned on directed_message (origin, id) where state = 'returned'`,
  `create index directed_message_settled on directed_message (settled_at) where settled_at is not null`,
];
