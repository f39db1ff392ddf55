import type { Backplane } from '@tyrum/backplane';
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
 *     park first     row(turn) ──▶ arrival finds the turn: conversation ready, one commit
 *     arrival first  row(outcome) ──▶ park finds the outcome: conversation ready instead of parked, one commit
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
      const found = await this.store.read((db) => this.turns.findWait(db, arrival));
      const waiter = found?.conversation_key ?? undefined;
      try {
        const outcome = await this.store.transaction(async (tx) => {
          // Conversations are locked before the first write, so the waiter has to be known by now.
          if (waiter !== undefined) await tx.lockConversations([refOf(arrival, waiter)]);
          if (alongside && !(await alongside(tx))) return 'already';
          return arriveIn(tx, this.turns, arrival, waiter);
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

/** The same inside the caller's transaction, which has locked the waiter's conversation. */
export async function arriveIn(
  tx: Tx,
  turns: TurnStore,
  arrival: Arrival,
  waiter: string | undefined,
): Promise<ArriveOutcome> {
  const noted = await turns.recordArrival(tx, arrival, JSON.stringify(arrival.outcome));
  if (!noted) return 'already';
  if (noted.turn_id === null || noted.conversation_key === null) return 'kept';
  const ref = refOf(arrival, noted.conversation_key);
  if (noted.conversation_key !== waiter) {
    if (waiter === undefined) throw new WaiterMovedError('a turn has begun to wait');
    // Not who was expected. Late for the order of events, but making it ready tells of none.
    await tx.lockConversations([ref]);
  }
  const [queue] = await turns.hold(tx, [ref]);
  const turn = await turns.find(tx, arrival.tenantId, noted.turn_id);
  if (!turn || !queue || queue.state === 'leased' || !waitsFor(turn, arrival)) return 'kept';
  const nothing = { steps: [], messages: [], events: 0 } as const;
  await settleTurns(tx, [{ ...ref, ...nothing, token: null, next: { kind: 'retry', dueMs: 0 } }]);
  return 'ready';
}

/** What the end of a turn is for the turn that started it; nothing when none did. */
export function arrivalOfEnd(turn: TurnRow, status: string): (Arrival & { readonly waiter: string }) | undefined {
  if (turn.parent_conversation_key === null) return undefined;
  const succeeded = status === 'succeeded';
  const outcome: StepOutcome = succeeded
    ? { kind: 'succeeded', result: { turn_id: turn.turn_id, status } }
    : {
        kind: 'failed',
        error: { code: `child_${status}`, message: `turn ${turn.turn_id} ${status}` },
        retryable: false,
      };
  return { tenantId: turn.tenant_id, kind: 'turn', id: turn.turn_id, outcome, waiter: turn.parent_conversation_key };
}

function waitsFor(turn: TurnRow, { kind, id }: Arrival): boolean {
  return turn.status === 'paused' && turn.wait_kind === kind && turn.wait_id === id;
}

function refOf({ tenantId }: Arrival, conversationKey: string): ConversationRef {
  return { tenantId, conversationKey };
}
