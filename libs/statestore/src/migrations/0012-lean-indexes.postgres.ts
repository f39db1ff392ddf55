/**
 * Fewer indexes on the paths of every turn and event. A binary of the revision before goes on working: it reads the same
 * tables by longer ways, and a conversation's `open_from` that it does not move stays a lower bound.
 */
export const leanIndexesPostgres: readonly string[] = [
  // Every turn of the conversation before this place has ended. A partial index of the open turns would tell the same, but
  // with `status` in its predicate no change of a turn's status can stay on its page (HOT): each is written to every index.
  `alter table conversation_queue add column open_from bigint not null default 0`,
  `update conversation_queue q set open_from = coalesce((
      select min(turn_seq) from turn t
      where t.tenant_id = q.tenant_id and t.conversation_key = q.conversation_key
        and t.status in ('queued', 'running', 'paused')), q.last_turn_seq + 1)`,
  `drop index turn_open`,
  `create index turn_by_place on turn (tenant_id, conversation_key, turn_seq)`,
  // Room on its page for each row's next version: a batch ends all turns of a page before any old version may go, and what does
  // not fit goes to another page and into every index.
  `alter table turn set (fillfactor = 50)`,
  `alter table step set (fillfactor = 50)`,
  // Readers and retention go by place, and so does the look for one transaction's event.
  `alter table outbox drop constraint outbox_pkey`,
  `drop index outbox_position`,
  `drop index outbox_by_age`,
  `alter table outbox add primary key (xid, id)`,
];
