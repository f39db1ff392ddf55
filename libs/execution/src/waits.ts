import type { Backplane } from '@tyrum/backplane';
import { LIMITS } from '@tyrum/protocol';
import type { ConversationRef, StateStore, Tx } from '@tyrum/statestore';
import { settleTurns, type ArrivalKind, type TurnRow, type TurnStore, type WaitId } from '@tyrum/statestore/turns';
import type { StepOutcome } from './step-executor';

/** What a turn waits for, settled: the step that waits ends with `outcome`. */
export interface Arrival {
  readonly tenantId: string;
  readonly kind: ArrivalKind;
  /** The approval, the dispatch to a node, the child turn, the signal's name. */
  readonly id: string;
  readonly outcome: ArrivedOutcome;
}

/** What has arrived for a step: its outcome, or leave to run it. */
export type ArrivedOutcome = StepOutcome | { readonly kind: 'approved' };

export type ArriveOutcome =
  /** A turn was waiting, and its conversation is ready for any worker. */
  | 'ready'
  /** Nobody waits for it now: kept for a turn that comes to. */
  | 'kept'
  /** It had arrived before, and the first time counts. */
  | 'already';

/** The turn began to wait between our look and our write. */
class WaiterMovedError extends Error {}

const MAX_LOOKS = 10;

/**
 * The one way by which a waiting turn goes on, whatever it waits for. A turn that parks and what it waits for write the
 * same row, each in the commit of its own change, so whoever is second sees the first:
 *
 *     park first     row ──▶ arrival finds every turn that waits: their conversations ready, one commit
 *     arrival first  row(outcome) ──▶ each park finds the outcome: conversation ready instead of parked, one commit
 */
export class Waits {
  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
    private readonly backplane: Backplane,
  ) {}

  /** @param alongside writes in the same commit; when it says no, nothing has arrived */
  async arrive(arrival: Arrival, alongside?: (tx: Tx) => Promise<boolean>): Promise<ArriveOutcome> {
    for (let look = 1; ; look += 1) {
      const waiters = await this.store.read((db) => this.turns.waiters(db, arrival));
      try {
        const outcome = await this.store.transaction(async (tx) => {
          // Conversations are locked before the first write, so the waiters have to be known by now.
          if (waiters.length > 0) await tx.lockConversations(waiters);
          if (alongside && !(await alongside(tx))) return 'already';
          return arriveIn(tx, this.turns, arrival, waiters);
        });
        if (outcome === 'ready') this.backplane.publish('work');
        return outcome;
      } catch (error) {
        if (!(error instanceof WaiterMovedError) || look >= MAX_LOOKS) throw error;
      }
    }
  }
}

/** A signal to a turn, as a wait names it: two turns may wait for signals of one name. */
export function signalTo(tenantId: string, turnId: string, name: string): WaitId & { readonly kind: 'signal' } {
  return { tenantId, kind: 'signal', id: `${turnId}/${name}` };
}

/** The same inside the caller's transaction, which has locked the conversations of these waiters. */
export async function arriveIn(
  tx: Tx,
  turns: TurnStore,
  arrival: Arrival,
  locked: readonly ConversationRef[],
): Promise<ArriveOutcome> {
  if (!(await turns.recordArrival(tx, arrival, JSON.stringify(arrival.outcome)))) return 'already';
  let waiting = await turns.waiters(tx, arrival);
  const known = new Set(locked.map(({ conversationKey }) => conversationKey));
  const others = waiting.filter(({ conversationKey }) => !known.has(conversationKey));
  if (others.length > 0) {
    if (locked.length === 0) throw new WaiterMovedError('a turn has begun to wait');
    // Not who was expected. Late for the order of events, but making them ready tells of none.
    await tx.lockConversations(others);
    waiting = await turns.waiters(tx, arrival);
  }
  let ready = 0;
  for (let i = 0; i < waiting.length; i += LIMITS.settleBatch) {
    ready += await makeReady(tx, turns, waiting.slice(i, i + LIMITS.settleBatch));
  }
  return ready > 0 ? 'ready' : 'kept';
}

/** One that is leased is being looked at by its holder, who finds what has arrived. */
async function makeReady(tx: Tx, turns: TurnStore, waiting: readonly ConversationRef[]): Promise<number> {
  const rows = (await turns.hold(tx, waiting)).filter(({ state }) => state !== 'leased');
  const nothing = { steps: [], messages: [], events: 0, token: null, next: { kind: 'retry', dueMs: 0 } } as const;
  const writes = rows.map((row) => ({
    ...nothing,
    tenantId: row.tenant_id,
    conversationKey: row.conversation_key,
  }));
  if (writes.length > 0) await settleTurns(tx, writes);
  return writes.length;
}

/** What the end of a turn is for the turn that started it; nothing when none did. */
export function arrivalOfEnd(
  turn: TurnRow,
  status: string,
): (Arrival & { readonly waiter: ConversationRef }) | undefined {
  if (turn.parent_conversation_key === null) return undefined;
  const succeeded = status === 'succeeded';
  const outcome: StepOutcome = succeeded
    ? { kind: 'succeeded', result: { turn_id: turn.turn_id, status } }
    : {
        kind: 'failed',
        error: { code: `child_${status}`, message: `turn ${turn.turn_id} ${status}` },
        retryable: false,
      };
  const waiter = { tenantId: turn.tenant_id, conversationKey: turn.parent_conversation_key };
  return { tenantId: turn.tenant_id, kind: 'turn', id: turn.turn_id, outcome, waiter };
}
