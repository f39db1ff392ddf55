import type { DispatchJournal } from '@tyrum/nodes';
import type { JsonObject } from '@tyrum/protocol';

/**
 * How a node remembers what it was asked, if it says so in `capability.ready`: an addition of ours among the open
 * `capability_states`, `{dispatch_journal: "durable" | "memory", instance}`. A node that says nothing is taken to forget.
 */
export function journalOf(states: readonly JsonObject[]): DispatchJournal | undefined {
  for (const { dispatch_journal: kind, instance } of states) {
    const known = kind === 'durable' || kind === 'memory';
    if (known && typeof instance === 'string' && instance.length <= 255) return { kind, instance };
  }
  return undefined;
}
