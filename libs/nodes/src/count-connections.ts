import type { Reader } from '@tyrum/statestore';
import { countByEdge } from './sql/peer-connections';

/** Long connections of one role at one edge. */
export interface EdgeConnections {
  readonly slot: string;
  readonly role: 'client' | 'node';
  readonly connections: number;
}

const MAX_ROWS = 2_000;

/** A tenant's long connections, or everybody's, by edge. */
export function countConnections(db: Reader, tenantId: string | null): Promise<EdgeConnections[]> {
  return db.query<EdgeConnections>(countByEdge, [tenantId, MAX_ROWS]);
}
