/**
 * Notes the timeline this server is on where it is higher than the highest noted, and says which it is. It comes before anything
 * is written on that timeline, by anybody: every connection asks before it is used. With a new timeline the outbox begins a new
 * epoch, because transaction ids and row ids of commits that the failover lost are given out again, and a reader that had
 * been past them would skip what has them now. Touches: server_timeline, outbox_epoch.
 */
export const seeTimeline = `
  with here as materialized (
    select server_identity() as identity, current_timeline() - earlier as own from server_timeline),
  noted as (
    update server_timeline t set
      earlier = case when t.identity = here.identity then t.earlier else t.highest end,
      highest = case when t.identity = here.identity then t.earlier else t.highest end + here.own,
      identity = here.identity,
      seen_at = (extract(epoch from clock_timestamp()) * 1000)::bigint
    from here
    where t.identity <> here.identity or t.highest < t.earlier + here.own
    returning t.identity, t.earlier + here.own as timeline),
  renewed as (
    update outbox_epoch set epoch = replace(gen_random_uuid()::text, '-', '') where exists (select from noted))
  select identity, timeline from noted
  union all
  select here.identity, t.earlier + here.own from server_timeline t, here where not exists (select from noted)`;

/** Who answers: 0 is a standby. */
export const askTimeline = `select server_identity() as identity, current_timeline() as timeline`;
