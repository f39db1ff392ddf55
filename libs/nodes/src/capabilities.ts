import type { Action } from '@tyrum/protocol';

/** How long a node has for an action that says nothing of it, in ms: from when the turn asks, waiting for a node included. */
const DEFAULT_DEADLINE_MS = 10 * 60_000;

const FAMILY = { Desktop: 'tyrum.desktop', Browser: 'tyrum.browser' } as const;

/** What an action asks of nodes. */
export interface NodeDemand {
  /** Any one of them will do. */
  readonly capabilities: readonly string[];
  /** Only this node. */
  readonly nodeId?: string;
  readonly deadlineMs: number;
}

/** Whether actions of that type are carried out by nodes. */
export function isForNodes({ type }: Action): boolean {
  return type === 'Node' || type === 'Desktop' || type === 'Browser';
}

/**
 * The demand of a `Node`, `Desktop` or `Browser` action. A node offers single actions (`tyrum.desktop.screenshot`) or a whole
 * family of them (`tyrum.desktop`). `args.node_id` and `args.timeout_ms` are open fields of ours.
 */
export function demandOf({ type, args }: Action): NodeDemand {
  const { capability, op, node_id, timeout_ms } = args as Readonly<Record<string, unknown>>;
  const family = type === 'Desktop' || type === 'Browser' ? FAMILY[type] : String(capability);
  const capabilities = typeof op === 'string' ? [`${family}.${op}`, family] : [family];
  const deadlineMs = typeof timeout_ms === 'number' && timeout_ms > 0 ? Math.ceil(timeout_ms) : DEFAULT_DEADLINE_MS;
  return { capabilities, deadlineMs, ...(typeof node_id === 'string' ? { nodeId: node_id } : {}) };
}
