import { LIMITS } from '@tyrum/protocol';
import type { Tx } from '@tyrum/statestore';
import type { Enqueued, TurnRow, TurnStore } from '@tyrum/statestore/turns';
import type { TurnControl } from './turn-control';

/** As many inputs wait in a conversation as may. Nothing was written. */
export class QueueFullError extends Error {
  readonly code = 'queue_full';
  readonly retryAfterMs = 5_000;
  constructor(
    /** The turns that found no place. */
    readonly turnIds: readonly string[],
    cap: number,
  ) {
    super(`${cap} turns wait in this conversation, and no more may`);
    this.name = 'QueueFullError';
  }
}

/** What was just queued in one conversation. */
export interface Arrival {
  readonly tenantId: string;
  readonly conversationKey: string;
  readonly turnIds: readonly string[];
  /** Whether an input for the conversation is among them, and not only workflows. */
  readonly input: boolean;
  readonly enqueued: Enqueued;
}

/**
 * What an input does to a conversation at the moment it arrives, in the commit that accepts it. The other modes act where
 * the turns run:
 *
 *     followup       each input is a turn, in order
 *     collect        a turn that starts takes the inputs that wait with it
 *     steer          a running reply takes them before its next model call; those that come too late are followups
 *     steer_backlog  the same, and they are followups all the same
 *     interrupt      everything older in the conversation is cancelled (here)
 */
export class InputQueue {
  constructor(
    private readonly turns: TurnStore,
    private readonly control: TurnControl,
  ) {}

  /** Returns the running turns that were asked to stop. @throws {QueueFullError} */
  async settleArrival(tx: Tx, arrival: Arrival): Promise<string[]> {
    const { enqueued, turnIds } = arrival;
    const cap = enqueued.queueCap ?? LIMITS.turnsQueuedPerConversation;
    if (arrival.input && enqueued.queueMode === 'interrupt') return this.interrupt(tx, arrival);
    const over = enqueued.pending - cap;
    if (over <= 0) return [];
    if (enqueued.queueOverflow === 'reject') throw new QueueFullError(turnIds.slice(-over), cap);
    // Those of the same batch count as older than those behind them; the newest always has its place.
    const queued = (await this.open(tx, arrival, LIMITS.turnsQueuedPerConversation)).filter(isQueued);
    await this.cancel(tx, queued.slice(0, Math.min(over, queued.length - 1)), 'the queue was full');
    return [];
  }

  private async interrupt(tx: Tx, arrival: Arrival): Promise<string[]> {
    const newest = arrival.turnIds.at(-1);
    const older = (await this.open(tx, arrival, LIMITS.turnsQueuedPerConversation)).filter(
      (turn) => turn.turn_id !== newest,
    );
    await this.cancel(tx, older, 'interrupted by a newer message');
    return older.filter((turn) => !isQueued(turn)).map((turn) => turn.turn_id);
  }

  private open(tx: Tx, arrival: Arrival, limit: number): Promise<TurnRow[]> {
    return this.turns.openTurns(tx, [arrival], limit);
  }

  private async cancel(tx: Tx, turns: readonly TurnRow[], reason: string): Promise<void> {
    for (const turn of turns) await this.control.cancelIn(tx, turn, reason);
  }
}

function isQueued(turn: TurnRow): boolean {
  return turn.status === 'queued';
}
