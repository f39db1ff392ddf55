import type { Statement } from '@tyrum/statestore';

/** Hands an origin what came back to it, and forgets it in the same commit. Parameters: origin, limit. Touches: directed_message. */
export const collectReturned: Statement = {
  name: 'collect-returned',
  postgres: `
    with mine as (
      select id from directed_message where origin = $1 and state = 'returned' order by id limit $2 for update skip locked)
    delete from directed_message d using mine where d.id = mine.id
    returning d.message_id, d.tenant_id, d.slot, d.connection_id, d.payload, d.reason`,
  sqlite: `delete from directed_message where id in (
      select id from directed_message where origin = ?1 and state = 'returned' order by id limit ?2)
    returning message_id, tenant_id, slot, connection_id, payload, reason`,
};
