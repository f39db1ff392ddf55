/** The same as on Postgres; the outbox' place is its rowid. */
export const leanIndexesSqlite: readonly string[] = [
  `alter table conversation_queue add column open_from integer not null default 0`,
  `update conversation_queue set open_from = coalesce((
      select min(turn_seq) from turn t
      where t.tenant_id = conversation_queue.tenant_id and t.conversation_key = conversation_queue.conversation_key
        and t.status in ('queued', 'running', 'paused')), last_turn_seq + 1)`,
  `drop index turn_open`,
  `create index turn_by_place on turn (tenant_id, conversation_key, turn_seq)`,
  `drop index outbox_position`,
  `drop index outbox_by_age`,
];
