import type { TurnAnswer, TurnReader } from '@tyrum/execution';
import { LIMITS, type WaitGoal } from '@tyrum/protocol';
import { notFound, RefusedError } from '../failures';
import type { TurnWatch } from './turn-watch';

/** A turn as it was when waiting was over. */
export interface Waited extends TurnAnswer {
  /** `ended`; `attention`: it needs somebody; `running`: neither came in time, wait again. */
  readonly outcome: 'ended' | 'attention' | 'running';
}

export interface WaitWish {
  readonly tenantId: string;
  /** Whose waits are counted together. */
  readonly tokenId: string;
  readonly turnId: string;
  readonly timeoutMs: number;
  readonly until: WaitGoal;
  /** Ends the waiting: nobody is there any more. */
  readonly signal: AbortSignal;
  /** Called with each state that is not the last. */
  readonly onProgress: (turn: TurnAnswer) => void;
}

/**
 * Waits for turns, each for a while. It is the outbox that says when to look, and each look is one read: nothing is asked
 * while nothing happens. What is waited for is in the database, so any edge can wait on after another.
 */
export class TurnWaits {
  private readonly perToken = new Map<string, number>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly reader: TurnReader,
    private readonly watch: TurnWatch,
    /** Whether an approval still waits for its decision. */
    private readonly isOpen: (tenantId: string, approvalId: string) => Promise<boolean>,
  ) {}

  /** How many wait. */
  get size(): number {
    return [...this.perToken.values()].reduce((sum, count) => sum + count, 0);
  }

  /** @throws {WireError} not_found; rate_limited when the token waits for as many as it may */
  async wait(wish: WaitWish): Promise<Waited> {
    const { tokenId } = wish;
    const count = this.perToken.get(tokenId) ?? 0;
    if (count >= LIMITS.mcpWaitsPerToken) {
      const message = `a token may wait for ${LIMITS.mcpWaitsPerToken} turns at a time`;
      throw new RefusedError('turn_waits', 'rate_limited', message, { retry_after_ms: 1_000 });
    }
    this.perToken.set(tokenId, count + 1);
    try {
      return await this.waitCounted(wish);
    } finally {
      const left = (this.perToken.get(tokenId) ?? 1) - 1;
      if (left > 0) this.perToken.set(tokenId, left);
      else this.perToken.delete(tokenId);
    }
  }

  /** Ends all waits, and those to come, as if their time were over: their clients go on at another edge. */
  stop(): void {
    this.stopping.abort();
  }

  private async waitCounted({ tenantId, turnId, timeoutMs, until, signal, onProgress }: WaitWish): Promise<Waited> {
    const bell = new Bell();
    // The timer holds it: of `any` nobody does, and a signal of AbortSignal.timeout would be collected before its time.
    const timeUp = new AbortController();
    const timer = setTimeout(() => timeUp.abort(), timeoutMs);
    const over = AbortSignal.any([signal, this.stopping.signal, timeUp.signal]);
    const ring = (): void => bell.ring();
    over.addEventListener('abort', ring);
    // Before the first look, so that nothing falls in between.
    const unwatch = this.watch.add(tenantId, turnId, ring);
    try {
      for (;;) {
        const turn = await this.reader.get(tenantId, turnId);
        if (!turn) throw notFound('turn');
        const outcome = await this.outcomeOf(tenantId, turn, until);
        if (outcome !== 'running' || over.aborted) return { ...turn, outcome };
        onProgress(turn);
        await bell.rung();
      }
    } finally {
      unwatch();
      clearTimeout(timer);
      over.removeEventListener('abort', ring);
    }
  }

  private async outcomeOf(tenantId: string, answer: TurnAnswer, until: WaitGoal): Promise<Waited['outcome']> {
    const { turn, waiting } = answer;
    if (turn.finished_at !== null) return 'ended';
    if (until === 'end' || turn.blocked_reason === undefined || !waiting) return 'running';
    // It is paused until a worker takes it up again; whoever has just decided is not to be asked once more.
    const isDecided = waiting.kind === 'approval' && !(await this.isOpen(tenantId, waiting.id));
    return isDecided ? 'running' : 'attention';
  }
}

/** Rings that come while nobody listens are one ring. */
class Bell {
  private isRung = false;
  private wake: (() => void) | undefined;

  ring(): void {
    this.isRung = true;
    this.wake?.();
  }

  async rung(): Promise<void> {
    if (!this.isRung) await new Promise<void>((resolve) => (this.wake = resolve));
    this.isRung = false;
  }
}
