import type { OpenTurn } from '@tyrum/statestore/turns';

/**
 * The turns that came with a claim, in order, and whether another one may begin under it: its time is a slice, after which other
 * conversations get their chance. The first turn begins however late it comes to that, unless the worker drains.
 */
export class ClaimedWork {
  private readonly endsAt: number;
  private begun = false;
  private closed = false;

  constructor(
    private readonly turns: OpenTurn[],
    sliceMs: number,
  ) {
    this.endsAt = performance.now() + sliceMs;
  }

  /** The next turn that may begin. */
  get next(): OpenTurn | undefined {
    const mayBegin = !this.closed && (!this.begun || performance.now() < this.endsAt);
    return mayBegin ? this.turns[0] : undefined;
  }

  /** A turn has begun earlier and is left to whoever claims the conversation next. */
  get leavesBegun(): boolean {
    const [left] = this.turns;
    return left !== undefined && left.turn.status !== 'queued';
  }

  /** Takes the next turn out, which begins now: whoever calls has seen that it may. */
  take(): OpenTurn | undefined {
    this.begun = true;
    return this.turns.shift();
  }

  takeNext(): OpenTurn | undefined {
    return this.next && this.take();
  }

  /** Takes out a turn whose input another one has taken. */
  drop(turnId: string): void {
    const at = this.turns.findIndex(({ turn }) => turn.turn_id === turnId);
    if (at >= 0) this.turns.splice(at, 1);
  }

  /** Nothing more begins. */
  close(): void {
    this.closed = true;
  }
}
