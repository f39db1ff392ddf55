import type { ConversationRef, Tx } from '../state-store';
import { byKey, refColumns, required, rowKey, type Counters, type RefColumns } from './ref-columns';
import { advanceConversations } from './sql/advance-conversations';
import { insertDeadLetters } from './sql/dead-letters';
import { deliverInputs } from './sql/deliver-inputs';
import { holdConversations } from './sql/hold-conversations';
import { insertMessages } from './sql/insert-messages';
import { updateTurns } from './sql/update-turns';
import { upsertSteps } from './sql/upsert-steps';
import { parkWaits } from './sql/waits';
import type { QueueRow } from './turn-rows';
import type { ConversationWrite, NextState, StartWrite, TurnPatch, Written } from './turn-writes';

/** Thrown out of a transaction that counted on something which turned out otherwise: it is to be done again, with care. */
export class NotAsHopedError extends Error {
  constructor() {
    super('a lease was lost or a turn was cancelled: write with care');
    this.name = 'NotAsHopedError';
  }
}

const REFUSED: Written = { applied: false, started: [], settled: [], ready: false, firstEventSeq: 0 };

/** How a conversation's counters and lease move. */
interface Move extends RefColumns {
  readonly lease_token: number | null;
  readonly started: number;
  readonly dequeued: number;
  readonly messages: number;
  readonly events: number;
  readonly ended_seq: number | null;
  readonly next: string;
  readonly due_ms: number | null;
}

interface MovedRow extends Omit<Counters, 'last_turn_seq'> {
  readonly transaction_id: string;
}

/**
 * Applies lease holders' writes behind their fences, in the order given; the caller has locked the conversations. With
 * the answer comes the transaction's id, for `StateStore.wasCommitted` if COMMIT is cut off.
 *
 * `hopeful`: in one round trip, as if all leases were held and no turn cancelled, which is nearly always so.
 * @throws {NotAsHopedError} it was not: the transaction must not commit
 */
export async function settleTurns(
  tx: Tx,
  writes: readonly ConversationWrite[],
  { hopeful = false }: { hopeful?: boolean } = {},
): Promise<{ written: Written[]; transactionId: string }> {
  return hopeful && writes.every((w) => !w.inputs && !w.wait) ? writeHopefully(tx, writes) : writeCarefully(tx, writes);
}

async function writeHopefully(
  tx: Tx,
  writes: readonly ConversationWrite[],
): Promise<{ written: Written[]; transactionId: string }> {
  const moves = writes.map((w) => movesOf(w, w.starts ?? [], 0));
  const patching = patch(tx, writes);
  const moving = tx.query<MovedRow>(advanceConversations, [moves]);
  // Where a turn was cancelled it may fail, since less is pending than is taken away; what matters then is the hope.
  moving.catch(() => undefined);
  const done = { starts: (w: ConversationWrite) => w.starts ?? [], settled: () => [] };
  // They need none of the numbers, and Postgres has something to do while the events are made.
  writeSteps(tx, writes, done.starts);
  const started = await patching;
  const wanted = writes.flatMap((w) => w.starts ?? []);
  if (wanted.some(({ turn }) => !started.has(turn.turnId))) throw new NotAsHopedError();
  const moved = await moving;
  if (moved.length < writes.length) throw new NotAsHopedError();
  const written = finishWrite(tx, writes, paired(moves, moved), done);
  return { written, transactionId: moved[0]?.transaction_id ?? '' };
}

async function writeCarefully(
  tx: Tx,
  writes: readonly ConversationWrite[],
): Promise<{ written: Written[]; transactionId: string }> {
  const fences = writes.map((w) => ({ lease_token: w.token, ...refColumns(w) }));
  const rows = await tx.query<QueueRow & { transaction_id: string }>(holdConversations, [fences]);
  const held = byKey(rows);
  const transactionId = rows[0]?.transaction_id ?? '';
  // By token and not by conversation alone: a process may hold a conversation again while an earlier run of its own, which has
  // not yet found out that it lost it, writes in the same commit.
  const applied = writes.filter((w) => {
    const row = held.get(rowKey(refColumns(w)));
    return row !== undefined && (w.token === null || w.token === row.lease_token);
  });
  if (applied.length === 0) return { written: writes.map(() => REFUSED), transactionId };

  const started = await patch(tx, applied);
  const starts = (w: ConversationWrite) => (w.starts ?? []).filter(({ turn }) => started.has(turn.turnId));
  const refused = new Set(applied.flatMap((w) => (w.starts ?? []).map(({ turn }) => turn.turnId)));
  for (const id of started) refused.delete(id);
  const settled = await deliver(
    tx,
    applied.filter((w) => !refused.has(w.inputs?.to ?? '')),
  );
  const arrived = await park(tx, applied);
  const moves = applied.map((w) => ({
    ...movesOf(w, starts(w), settled(w).length),
    ...(arrived.has(rowKey(refColumns(w))) ? { next: 'retry', due_ms: 0 } : {}),
  }));
  const moved = await tx.query<MovedRow>(advanceConversations, [moves]);
  writeSteps(tx, applied, starts);
  const written = finishWrite(tx, applied, paired(moves, moved), { starts, settled });
  const outcomes = new Map(applied.map((w, i) => [w, written[i] as Written]));
  return { written: writes.map((w) => outcomes.get(w) ?? REFUSED), transactionId };
}

/** Writes turns' states; returns the ids of those that were there to be written. */
async function patch(tx: Tx, writes: readonly ConversationWrite[]): Promise<Set<string>> {
  const patches = writes.flatMap((w) => [
    ...(w.turn ? [patchColumns(w, w.turn, false)] : []),
    ...(w.starts ?? []).map(({ turn }) => patchColumns(w, turn, true)),
  ]);
  if (patches.length === 0) return new Set();
  const rows = await tx.query<{ turn_id: string }>(updateTurns, [patches]);
  return new Set(rows.map((row) => row.turn_id));
}

/** Each move with its row as it is after it. */
function paired(moves: readonly Move[], rows: readonly MovedRow[]): { move: Move; row: MovedRow }[] {
  const moved = byKey(rows);
  return moves.map((move) => ({ move, row: required(moved, rowKey(move)) }));
}

/** Nobody waits for the answer. */
function writeSteps(
  tx: Tx,
  writes: readonly ConversationWrite[],
  starts: (w: ConversationWrite) => readonly StartWrite[],
): void {
  const steps = writes.flatMap((w) =>
    [...w.steps, ...starts(w).flatMap((start) => start.steps)].map((step) => ({ tenant_id: w.tenantId, ...step })),
  );
  if (steps.length > 0) void tx.query(upsertSteps, [steps]);
}

/** What nobody waits for and needs its place: messages, dead letters. */
function finishWrite(
  tx: Tx,
  writes: readonly ConversationWrite[],
  moved: readonly { readonly move: Move; readonly row: MovedRow }[],
  done: {
    readonly starts: (w: ConversationWrite) => readonly StartWrite[];
    readonly settled: (w: ConversationWrite) => readonly string[];
  },
): Written[] {
  const messages = writes.flatMap((w, i) => {
    const first = (moved[i]?.row.last_message_seq ?? 0) - w.messages.length + 1;
    return w.messages.map((message, n) => ({ message_seq: first + n, ...message }));
  });
  if (messages.length > 0) void tx.query(insertMessages, [JSON.stringify(messages)]);
  const dead = writes.flatMap((w) => (w.dead ? [{ ...refColumns(w), ...w.dead }] : []));
  if (dead.length > 0) void tx.query(insertDeadLetters, [JSON.stringify(dead)]);
  return writes.map((w, i) => {
    const { move, row } = moved[i] as { move: Move; row: MovedRow };
    return {
      applied: true,
      started: done.starts(w).map(({ turn }) => turn.turnId),
      settled: done.settled(w),
      ready: row.state === 'ready',
      firstEventSeq: row.last_event_seq - move.events + 1,
    };
  });
}

/** Notes who waits for what; returns the conversations whose turn has nothing to wait for any more. */
async function park(tx: Tx, writes: readonly ConversationWrite[]): Promise<Set<string>> {
  const waits = writes.flatMap((w) =>
    w.wait ? [{ ...refColumns(w), kind: w.wait.kind, wait_id: w.wait.id, turn_id: w.wait.turnId }] : [],
  );
  if (waits.length === 0) return new Set();
  const rows = await tx.query<RefColumns & { arrived_at: number | null }>(parkWaits, [JSON.stringify(waits)]);
  return new Set(rows.filter((row) => row.arrived_at !== null).map(rowKey));
}

/** Gives inputs away where writes ask for it; returns which of a write's are settled by that. */
async function deliver(
  tx: Tx,
  writes: readonly ConversationWrite[],
): Promise<(w: ConversationWrite) => readonly string[]> {
  const given = writes.flatMap(({ tenantId, inputs }) =>
    (inputs?.turnIds ?? []).map((turn_id) => ({
      tenant_id: tenantId,
      turn_id,
      delivered_to: inputs?.to,
      step: inputs?.step ?? null,
      settle: inputs?.settle,
    })),
  );
  if (given.length === 0) return () => [];
  const rows = await tx.query<{ turn_id: string }>(deliverInputs, [JSON.stringify(given)]);
  const taken = new Set(rows.map((row) => row.turn_id));
  return ({ inputs }) => (inputs?.settle ? inputs.turnIds.filter((id) => taken.has(id)) : []);
}

function movesOf(w: ConversationWrite, starts: readonly StartWrite[], settled: number): Move {
  return {
    started: starts.length,
    dequeued: (w.dequeued ?? 0) + settled,
    messages: w.messages.length,
    events: w.events + starts.reduce((sum, start) => sum + start.events, 0) + settled,
    ended_seq: endedSeq(w, starts),
    lease_token: w.token,
    ...nextColumns(w.next),
    ...refColumns(w),
  };
}

/**
 * The place of the last turn that ends here. A lease's holder runs turns in their order, so none before it is open; what an
 * outside hand ends may have others before it.
 */
function endedSeq(w: ConversationWrite, starts: readonly StartWrite[]): number | null {
  if (w.token === null) return null;
  const last = starts.findLast(({ turn }) => isEnded(turn.status))?.turn;
  return last?.turnSeq ?? (w.turn && isEnded(w.turn.status) ? w.turn.turnSeq : null);
}

function isEnded(status: TurnPatch['status']): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled';
}

function nextColumns(next: NextState): { next: NextState['kind']; due_ms: number | null } {
  return { next: next.kind, due_ms: next.kind === 'retry' ? next.dueMs : null };
}

function patchColumns(owner: ConversationRef, patch: TurnPatch, fromQueued: boolean): object {
  return {
    tenant_id: owner.tenantId,
    turn_id: patch.turnId,
    from_queued: fromQueued,
    status: patch.status,
    attempt: patch.attempt,
    wait_kind: patch.waitKind ?? null,
    wait_id: patch.waitId ?? null,
    wait_ms: patch.waitMs ?? null,
    blocked_reason: patch.blockedReason ?? null,
    blocked_detail: patch.blockedDetail ?? null,
    error: patch.error ?? null,
    cancel_reason: patch.cancelReason ?? null,
  };
}
