import type { Reader } from '@tyrum/statestore';
import type { InstanceState } from './heartbeat';
import type { LeaseHistoryRow, LeaseName } from './leases';
import { listInstances, listTakeovers } from './sql/instances';

/** A process, as its last heartbeat told of it; times in ms since the epoch, by the database's clock. */
export interface InstanceRow {
  readonly instance_id: string;
  readonly app: string;
  readonly roles: readonly string[];
  readonly version: string;
  readonly state: InstanceState;
  readonly report: Readonly<Record<string, unknown>>;
  readonly started_at: number;
  readonly last_seen_at: number;
  /** It has missed beats: it was killed, hangs, or cannot reach the database. */
  readonly stale: boolean;
}

export type TakeoverRow = LeaseHistoryRow & LeaseName;

/** So many beats may be late before a process counts as silent. */
const STALE_BEATS = 3;
const MAX_INSTANCES = 1_000;

/** Which processes there are. One that ended in order is not among them; one that died is for a while, as stale. */
export async function readInstances(db: Reader): Promise<InstanceRow[]> {
  type Row = Omit<InstanceRow, 'roles' | 'report'> & { roles: string; report: string; beat_ms: number; now_ms: number };
  const rows = await db.query<Row>(listInstances, [MAX_INSTANCES]);
  return rows.map(({ beat_ms, now_ms, roles, report, ...row }) => ({
    ...row,
    roles: JSON.parse(roles) as string[],
    report: JSON.parse(report) as Record<string, unknown>,
    stale: now_ms - row.last_seen_at > STALE_BEATS * beat_ms,
  }));
}

/** Takeovers and losses of the last `sinceMs`, newest first: of a tenant's conversations, or of everything. */
export function readTakeovers(
  db: Reader,
  { sinceMs, limit, tenantId }: { readonly sinceMs: number; readonly limit: number; readonly tenantId?: string },
): Promise<TakeoverRow[]> {
  return db.query<TakeoverRow>(listTakeovers, [sinceMs, tenantId === undefined ? null : `${tenantId}/`, limit]);
}
