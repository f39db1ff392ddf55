import type { TurnReader } from '@tyrum/execution';
import { TURN_STATUSES, type TurnListPayload, type TurnListResult } from '@tyrum/protocol';
import { BY_TIME } from './list-cursor';

/**
 * A page of a tenant's turns, for the WebSocket and for HTTP alike.
 * @param field what the caller knows the payload as
 * @throws {ContractError} for a cursor that is none of ours
 */
export async function listTurns(
  reader: TurnReader,
  tenantId: string,
  { statuses, limit, dead, cursor }: TurnListPayload,
  field: string,
): Promise<TurnListResult> {
  const place = cursor === undefined ? undefined : BY_TIME.decode(cursor, `${field}.cursor`);
  const page = { limit, ...(place ? { after: { at: place.at, turnId: place.id } } : {}) };
  const { turns, next } = await (dead
    ? reader.listDead(tenantId, page)
    : reader.list(tenantId, { ...page, statuses: statuses ?? TURN_STATUSES }));
  return { turns, ...(next ? { next_cursor: BY_TIME.encode({ at: next.at, id: next.turnId }) } : {}) };
}
