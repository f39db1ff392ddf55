import type { Reader } from '../state-store';
import { countDeadLetters, findOldestReady, measureAgentQueues, measureTenantQueues } from './sql/measure-queues';

/** Conversations with something to do, the turns that wait in them, and what they get of the workers. */
export interface QueueDepth {
  readonly weight: number;
  readonly max_running: number | null;
  /** Due, and not taken by a worker yet. */
  readonly ready: number;
  /** Due later: a retry, a timer. */
  readonly later: number;
  readonly running: number;
  readonly queued_turns: number;
}

export interface QueuesView<Name> {
  /** Those with the most to do first. */
  readonly queues: readonly (QueueDepth & Name)[];
  readonly oldest:
    { readonly tenant_id: string; readonly conversation_key: string; readonly waiting_ms: number } | undefined;
  readonly deadLetters: number;
}

const MAX_QUEUES = 1_000;

/** What waits in a tenant, by agent. */
export async function readTenantQueues(db: Reader, tenantId: string): Promise<QueuesView<{ agent_key: string }>> {
  const queues = await db.query<QueueDepth & { agent_key: string }>(measureAgentQueues, [tenantId, MAX_QUEUES]);
  return { queues: queues.map(depthOf), ...(await readRest(db, tenantId)) };
}

/** What waits in the deployment, by tenant. */
export async function readAllQueues(db: Reader): Promise<QueuesView<{ tenant_id: string }>> {
  const queues = await db.query<QueueDepth & { tenant_id: string }>(measureTenantQueues, [MAX_QUEUES]);
  return { queues: queues.map(depthOf), ...(await readRest(db, null)) };
}

async function readRest(db: Reader, tenantId: string | null) {
  const [oldest] = await db.query<NonNullable<QueuesView<object>['oldest']>>(findOldestReady, [tenantId]);
  const [dead] = await db.query<{ n: number }>(countDeadLetters, [tenantId]);
  return { oldest, deadLetters: Number(dead?.n ?? 0) };
}

/** A sum of bigints is numeric, which arrives as text. A share that nobody set is of weight 1 without a cap. */
function depthOf<Row extends QueueDepth>(row: Row): Row {
  const { weight, max_running, ready, later, running, queued_turns } = row;
  const counts = { ready: Number(ready), later: Number(later), running: Number(running) };
  return {
    ...row,
    weight: weight ?? 1,
    max_running: max_running ?? null,
    ...counts,
    queued_turns: Number(queued_turns),
  };
}
