import type { StateStore } from '@tyrum/statestore';
import { forgetCursors, renewEpoch, renumberEvents } from './sql/begin-epoch';
import { pruneCursorRows } from './sql/prune-cursors';
import { markPruned, pruneEventRows } from './sql/prune-events';

/**
 * Deletes up to `limit` events older than `olderThanMs`, none that readers may not take yet, and notes how far it came:
 * readers that were not so far are told of a gap. Returns how many; fewer than `limit` = what is left is too young, or is
 * behind what a process with a fast clock wrote: a later sweep comes to it.
 */
export async function pruneOutbox(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
  return store.transaction(async (tx) => {
    const rows = await tx.query<{ xid: string; id: string; deleted?: number }>(pruneEventRows, [olderThanMs, limit]);
    if (rows.length === 0) return 0;
    const last = rows.reduce((a, b) => (BigInt(a.id) > BigInt(b.id) ? a : b));
    await tx.query(markPruned, [last.xid, last.id]);
    return last.deleted ?? rows.length;
  });
}

/** Forgets up to `limit` consumers that have not moved for `olderThanMs`: what they had not read is gone by then. */
export async function pruneCursors(store: StateStore, olderThanMs: number, limit: number): Promise<number> {
  return (await store.execute(pruneCursorRows, [olderThanMs, limit])).length;
}

/**
 * Must run after a logical restore (a dump loaded into another server), before anything else writes. The new server counts
 * transactions from its own number, so restored rows could lie ahead of it and never become readable. They keep their order
 * among themselves; every reader is told of a gap.
 */
export async function beginEpoch(store: StateStore): Promise<void> {
  await store.transaction(async (tx) => {
    await tx.query(renumberEvents);
    await tx.query(forgetCursors);
    await tx.query(renewEpoch);
  });
}
