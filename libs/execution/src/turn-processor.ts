import { AdaptivePoll, Coalescer, type Backplane, type PollResult } from '@tyrum/backplane';
import { conversationLease, type LossLog } from '@tyrum/leases';
import { LIMITS } from '@tyrum/protocol';
import type { Param } from '@tyrum/statestore';
import { ClaimRing, type ClaimedConversation, type OpenTurn, type TurnStore } from '@tyrum/statestore/turns';
import { ConversationRun, type RunPorts } from './conversation-run';

export interface TurnProcessorOptions {
  /** Who this process is, in leases and in their history. */
  readonly owner: string;
  readonly leaseTtlMs: number;
  /** Conversations run at once. */
  readonly concurrency: number;
  /** Turns of one conversation run under one claim at the most; then others get their chance. */
  readonly turnsPerClaim: number;
  /** A heartbeat that is due, to be taken along by a look at the database. */
  readonly beat?: () => readonly Param[] | undefined;
}

/**
 * While so many conversations run, and a claim left nothing behind, the next one is made so many ms later, however many
 * wake-ups come: a claim costs the same whatever it finds, and what has come meanwhile has others before it anyway.
 */
const BUSY_RUNS = 16;
const BUSY_PAUSE_MS = 5;
/** How long after a claim a look is due at what falls due next, if nothing comes before. */
const LOOK_MS = 50;
/** How often a worker calls others for what it left behind, at the most. */
const CALL_MS = 50;

/** How much of the TTL before its end a holder stops trusting its lease, as a fraction. */
const TRUST_MARGIN = 0.15;

/**
 * Claims conversations that are due and runs their turns. Ownership is decided by the database alone; the clock here only
 * makes a holder stop in time.
 *
 *     claim ──▶ run ──▶ settle ──▶ claim …        every TTL/3: one renewal for all that run
 *                │
 *                └─ not renewed within TTL − margin, measured from before the request ─▶ abort, write nothing
 */
export class TurnProcessor {
  private readonly runs = new Map<ConversationRun, Promise<void>>();
  private readonly trustedUntil = new WeakMap<ConversationRun, number>();
  private readonly poll: AdaptivePoll;
  private readonly unsubscribe: (() => void)[] = [];
  private renewal: NodeJS.Timeout | undefined;
  private renewing = false;
  private stopped = false;
  private readonly ring = new ClaimRing();
  /** Something may be due that the last claim left for want of room or of a place under a cap: look when a run has ended. */
  private leftWaiting = false;
  private readonly calls = new Coalescer(() => this.backplane.publish('work'), CALL_MS);
  /** Claims in a row that got nothing although something was due. */
  private emptyHanded = 0;

  constructor(
    private readonly turns: TurnStore,
    private readonly backplane: Backplane,
    private readonly ports: RunPorts,
    private readonly options: TurnProcessorOptions,
    private readonly losses: LossLog,
  ) {
    this.poll = new AdaptivePoll(() => this.claim(), {
      backplane,
      onError: (error) => ports.observer.trouble('claim', error),
    });
  }

  /** How many conversations run now. */
  get running(): number {
    return this.runs.size;
  }

  start(): void {
    this.unsubscribe.push(
      this.backplane.subscribe('work', () => {
        this.poll.wake();
        return this.runs.size < this.options.concurrency;
      }),
      this.backplane.subscribe('cancel', (turnId) => this.cancel(turnId)),
    );
    this.renewal = setInterval(() => void this.renew(), this.options.leaseTtlMs / 3);
    this.poll.start();
  }

  /** Claims nothing more; what runs goes on to the end of its step. */
  async stopClaiming(): Promise<void> {
    this.stopped = true;
    for (const run of this.runs.keys()) run.drain();
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    this.calls.close();
    await this.poll.stop();
  }

  /** Waits for the running steps; when `deadline` aborts first, stops them and lets their conversations go. */
  async finish(deadline: AbortSignal): Promise<void> {
    const interrupt = () => {
      for (const run of this.runs.keys()) run.interrupt();
    };
    if (deadline.aborted) interrupt();
    deadline.addEventListener('abort', interrupt, { once: true });
    await Promise.all(this.runs.values());
    clearInterval(this.renewal);
  }

  /** Whether other processes' wake-ups reach this one. Several may have one database without a backplane between them. */
  private get isCalled(): boolean {
    return this.backplane.kind !== 'local' && this.backplane.healthy;
  }

  private cancel(turnId: string | undefined): void {
    if (turnId) for (const run of this.runs.keys()) run.cancelTurn(turnId);
  }

  private async claim(): Promise<PollResult> {
    const free = Math.min(this.options.concurrency - this.runs.size, LIMITS.claimConversations);
    if (free <= 0) this.leftWaiting = true;
    if (this.stopped || free <= 0) return { more: false };
    const askedAt = performance.now();
    const { owner, leaseTtlMs, turnsPerClaim: turnsEach } = this.options;
    const claimed = await this.turns.claim(owner, leaseTtlMs, free, { ring: this.ring, turnsEach });
    if (claimed.length === 0) return this.nothingClaimed();
    this.leftWaiting = claimed.length >= free || this.ring.capped;
    this.emptyHanded = 0;
    const takenOver = claimed.filter((conversation) => conversation.takenFrom !== null).length;
    this.ports.observer.conversationsClaimed(claimed.length, takenOver);
    const work = await this.turns.workOf(claimed);
    claimed.forEach((conversation, i) => this.launch(conversation, work[i] ?? [], askedAt));
    // A wake-up may have reached this worker only, and there may be more than it can take.
    if (this.ring.more) this.calls.publish('work');
    if (this.ring.more && this.runs.size < this.options.concurrency) return { more: true };
    return { more: false, nextDueInMs: LOOK_MS, ...this.pace(claimed.length < free) };
  }

  /**
   * What is due and was not got is another claimant's for the moment, or in a part of the ring this claim did not see: look
   * once more, there. After that it waits for a place under a cap, and whoever frees one looks by itself.
   */
  private async nothingClaimed(): Promise<PollResult> {
    const { any, later, capped } = await this.turns.msUntilDue(this.options.beat?.());
    if (any === 0) this.ring.jump();
    this.leftWaiting = any === 0 || capped;
    this.emptyHanded = any === 0 ? this.emptyHanded + 1 : 0;
    const nextDueInMs = this.emptyHanded > 1 ? later : any;
    return { more: false, ...(nextDueInMs === undefined ? {} : { nextDueInMs }), ...this.pace(true) };
  }

  private pace(isEmptied: boolean): { restMs?: number } {
    return isEmptied && this.runs.size >= BUSY_RUNS ? { restMs: BUSY_PAUSE_MS } : {};
  }

  private launch(conversation: ClaimedConversation, work: OpenTurn[], askedAt: number): void {
    const run = new ConversationRun(conversation, work, this.ports);
    this.trust(run, askedAt);
    if (this.stopped) run.drain();
    const done = this.guard(run).finally(() => {
      this.runs.delete(run);
      if (run.lost) this.losses.add({ ...conversationLease(run.ref), token: run.token });
      if (this.leftWaiting || !this.isCalled) this.poll.wake();
    });
    this.runs.set(run, done);
  }

  /** A throw is our own mistake: the turn fails visibly instead of being taken over and thrown at again for ever. */
  private async guard(run: ConversationRun): Promise<void> {
    try {
      await run.run();
    } catch (error) {
      this.ports.observer.trouble('run', error);
      await run
        .fail(error instanceof Error ? error.message : String(error))
        .catch((second: unknown) => this.ports.observer.trouble('fail', second));
    }
  }

  private trust(run: ConversationRun, askedAt: number): void {
    this.trustedUntil.set(run, askedAt + this.options.leaseTtlMs * (1 - TRUST_MARGIN));
  }

  /** One statement renews every lease of the process. */
  private async renew(): Promise<void> {
    this.dropUntrusted();
    void this.losses.flush();
    if (this.renewing || this.runs.size === 0) return;
    this.renewing = true;
    const askedAt = performance.now();
    const runs = [...this.runs.keys()];
    try {
      const { held, cancelRequested, tenantDisabled } = await this.turns.renew(
        runs.map((run) => ({ ref: run.ref, token: run.token, ...(run.turnId ? { turnId: run.turnId } : {}) })),
        this.options.leaseTtlMs,
      );
      runs.forEach((run, i) => {
        if (held[i]) this.trust(run, askedAt);
        // One that ended meanwhile let its lease go by itself.
        else if (this.runs.has(run)) this.lose(run);
      });
      for (const turnId of cancelRequested) this.cancel(turnId);
      // Their turns stay where they are after this step; nobody claims them until the tenant is enabled again.
      for (const run of runs) if (run.turnId !== undefined && tenantDisabled.has(run.turnId)) run.drain();
    } catch (error) {
      this.ports.observer.trouble('renew', error);
    } finally {
      this.renewing = false;
    }
  }

  /** Also runs while a renewal hangs, which is when it matters. */
  private dropUntrusted(): void {
    const now = performance.now();
    for (const run of this.runs.keys()) {
      if (now >= (this.trustedUntil.get(run) ?? 0)) this.lose(run);
    }
  }

  private lose(run: ConversationRun): void {
    this.ports.observer.leaseLost({ conversationKey: run.ref.conversationKey, token: run.token });
    run.loseLease();
  }
}
