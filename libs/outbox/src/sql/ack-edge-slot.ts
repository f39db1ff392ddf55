import { beatFrom, NOW_MS, type Statement } from '@tyrum/statestore';

/**
 * Notes how far the holder of a slot has come and that it is alive, in one write for all events since the last one. No row:
 * another process has taken the slot. Parameters: slot, holder, time to live in ms (0 = it leaves), epoch, xid, id.
 * Touches: edge_slot.
 */
export const ackEdgeSlot: Statement = {
  name: 'ack-edge-slot',
  postgres: `update edge_slot set expires_at = ${NOW_MS.postgres} + $3::bigint, epoch = $4, xid = $5::xid8, id = $6::bigint
    where slot = $1 and holder = $2 returning slot`,
  sqlite: `update edge_slot set expires_at = ${NOW_MS.sqlite} + ?3, epoch = ?4, xid = cast(?5 as integer),
      id = cast(?6 as integer)
    where slot = ?1 and holder = ?2 returning slot`,
};

/** The same with a heartbeat, on Postgres. Further parameters: those of the beat. Touches: edge_slot, instance. */
export const ackEdgeSlotWithBeat: Statement = {
  name: 'ack-edge-slot-with-beat',
  postgres: `with ${beatFrom(7)} ${ackEdgeSlot.postgres}`,
  sqlite: '',
};
