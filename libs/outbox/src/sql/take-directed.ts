import { NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * What waits for the connections of a slot, for its holder only and only while it counts as alive: what is in time.
 * Parameters: slot, holder, limit. Touches: directed_message, edge_slot.
 */
export const findDirected: Statement = {
  name: 'take-directed',
  postgres: `select message_id, tenant_id, connection_id, payload from directed_message
    where slot = $1 and state = 'queued' and deliver_by > ${NOW_MS.postgres}
      and exists (select from edge_slot where slot = $1 and holder = $2 and expires_at > ${NOW_MS.postgres})
    order by id limit $3`,
  sqlite: `select message_id, tenant_id, connection_id, payload from directed_message
    where slot = ?1 and state = 'queued' and deliver_by > ${NOW_MS.sqlite}
      and exists (select 1 from edge_slot where slot = ?1 and holder = ?2 and expires_at > ${NOW_MS.sqlite})
    order by id limit ?3`,
};
