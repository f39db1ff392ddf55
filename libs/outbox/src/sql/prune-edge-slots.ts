import { NOW_MS, type Statement } from '@tyrum/statestore';

/** Forgets slots whose edges have been away for so long. Parameters: age in ms, limit. Touches: edge_slot. */
export const pruneEdgeSlotRows: Statement = {
  name: 'prune-edge-slots',
  postgres: `delete from edge_slot where slot in (
      select slot from edge_slot where expires_at < (select ${NOW_MS.postgres} - $1::bigint) limit $2)
    returning slot`,
  sqlite: `delete from edge_slot where slot in (
      select slot from edge_slot where expires_at < ${NOW_MS.sqlite} - ?1 limit ?2)
    returning slot`,
};
