import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Sends back, one bounded batch a call, what will not be delivered: its edge is gone or its time is over, both by the
 * database's clock. Parameter: limit. Touches: directed_message, edge_slot.
 */
export const returnUndeliverable: Statement = {
  name: 'return-undeliverable',
  postgres: `
    with lost as (
      select d.id, d.deliver_by <= ${NOW_MS.postgres} as late from directed_message d
      where d.state = 'queued' and (d.deliver_by <= ${NOW_MS.postgres}
        or not exists (select from edge_slot s where s.slot = d.slot and s.expires_at > ${NOW_MS.postgres}))
      order by d.id limit $1 for update of d skip locked)
    update directed_message d set state = 'returned', settled_at = ${NOW_MS.postgres},
      reason = case when lost.late then 'too_late' else 'edge_gone' end
    from lost where d.id = lost.id returning d.message_id`,
  sqlite: `update directed_message set state = 'returned', settled_at = ${NOW_MS.sqlite},
      reason = case when deliver_by <= ${NOW_MS.sqlite} then 'too_late' else 'edge_gone' end
    where id in (
      select d.id from directed_message d
      where d.state = 'queued' and (d.deliver_by <= ${NOW_MS.sqlite}
        or not exists (select 1 from edge_slot s where s.slot = d.slot and s.expires_at > ${NOW_MS.sqlite}))
      order by d.id limit ?1)
    returning message_id`,
};
