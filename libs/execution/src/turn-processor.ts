import { AsyncResource } from 'node:async_hooks';
import { AdaptivePoll, Coalescer, type Backplane, type PollResult } from '@tyrum/backplane';
import { conversationLease, type LossLog } from '@tyrum/leases';
import { LIMITS } from '@tyrum/protocol';
import type { Param, Tx } from '@tyrum/statestore';
import { ClaimRing, type ClaimedConversation, type OpenTurn, type TurnStore } from '@tyrum/statestore/turns';
import type { ClaimAlong, Claimer } from './claim-along';
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
/** Looks in a row for what is due and was not got, one after the other where something else is due by then. */
const MAX_LOOKS = 3;
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
export class TurnProcessor implements Claimer {
  private readonly runs = new Map<ConversationRun, Promise<void>>();
  private readonly trustedUntil = new WeakMap<ConversationRun, number>();
  private readonly poll: AdaptivePoll;
  private readonly unsubscribe: (() => void)[] = [];
  private renewal: NodeJS.Timeout | undefined;
  private renewing = false;
  private stopped = false;
  private readonly ring = new ClaimRing();
  /** Claims under way in others' transactions, and how many conversations they may bring. */
  private readonly along = new Set<Promise<void>>();
  private reserved = 0;
  /** Something may be due that the last claim left for want of room or of a place under a cap: look when a run has ended. */
  private leftWaiting = false;
  private readonly calls = new Coalescer(() => this.backplane.publish('work'), CALL_MS);
  /** Claims in a row that got nothing although something was due, and the lane where the next one looks for it. */
  private emptyHanded = 0;
  private sought: string | undefined;

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
    // Those it had meant to call, too.
    this.backplane.publish('work');
    await this.poll.stop();
    await Promise.all(this.along);
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

  /** How many conversations a claim may take now. */
  private get free(): number {
    const room = this.options.concurrency - this.runs.size - this.reserved;
    return this.stopped ? 0 : Math.min(room, LIMITS.claimConversations);
  }

  async claimIn(tx: Tx, made: number): Promise<ClaimAlong | undefined> {
    // One more, so that getting fewer says that nothing is left.
    const most = Math.min(this.free, made + 1);
    // A share with a cap stays locked for as long as the claim's transaction, and others pass it over meanwhile.
    if (!this.renewal || most <= 0 || this.ring.capped) return undefined;
    const { owner, leaseTtlMs, turnsPerClaim: turnsEach } = this.options;
    const askedAt = performance.now();
    const giveBack = this.reserve(most);
    try {
      const asked = await this.turns.claimIn(tx, owner, leaseTtlMs, most, { ring: this.ring, turnsEach });
      return {
        committed: () => void this.launchClaimed(asked.claimed, askedAt).finally(giveBack),
        dropped: () => {
          giveBack();
          // Others may have passed over what was locked.
          this.backplane.publish('work');
        },
      };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** Keeps room for what a claim may bring. Returns the way to give it back. */
  private reserve(count: number): () => void {
    let giveBack = (): void => undefined;
    const ended = new Promise<void>((resolve) => (giveBack = resolve)).then(() => {
      this.reserved -= count;
      this.along.delete(ended);
      if (this.leftWaiting) this.poll.wake();
    });
    this.reserved += count;
    this.along.add(ended);
    return giveBack;
  }

  /** Not in the context of the request that was accepted: what runs may be anybody's. */
  private readonly launchClaimed = AsyncResource.bind(
    async (claimed: () => Promise<ClaimedConversation[]>, askedAt: number): Promise<void> => {
      try {
        const got = await claimed();
        const { more, capped } = this.ring;
        if (more || capped) this.leftWaiting = true;
        if (more) this.poll.wake();
        // Without anything ready it may have looked elsewhere than where something is.
        const foundNone = got.every(({ takenFrom }) => takenFrom !== null);
        if (more || capped || foundNone) this.calls.publish('work');
        if (got.length > 0) await this.launchAll(got, askedAt);
      } catch (error) {
        this.ports.observer.trouble('claim', error);
      }
    },
  );

  private async claim(): Promise<PollResult> {
    const { free } = this;
    if (free <= 0) {
      this.leftWaiting = true;
      return { more: false };
    }
    // Of those beside it in others' transactions none may take the same room.
    this.reserved += free;
    try {
      return await this.claimUpTo(free);
    } finally {
      this.reserved -= free;
    }
  }

  private async claimUpTo(free: number): Promise<PollResult> {
    const askedAt = performance.now();
    const { owner, leaseTtlMs, turnsPerClaim: turnsEach } = this.options;
    const claimed = await this.turns.claim(owner, leaseTtlMs, free, { ring: this.ring, turnsEach });
    const { more, capped } = this.ring;
    if (claimed.length === 0) return this.nothingClaimed();
    this.leftWaiting = claimed.length >= free || capped;
    this.emptyHanded = 0;
    await this.launchAll(claimed, askedAt);
    // A wake-up may have reached this worker only, and there may be more than it can take.
    if (more) this.calls.publish('work');
    if (more && this.runs.size < this.options.concurrency) return { more: true };
    return { more: false, nextDueInMs: LOOK_MS, ...this.pace(claimed.length < free) };
  }

  private async launchAll(claimed: readonly ClaimedConversation[], askedAt: number): Promise<void> {
    const takenOver = claimed.filter((conversation) => conversation.takenFrom !== null).length;
    this.ports.observer.conversationsClaimed(claimed.length, takenOver);
    const work = await this.turns.workOf(claimed);
    claimed.forEach((conversation, i) => this.launch(conversation, work[i] ?? [], askedAt));
  }

  /**
   * What is due and was not got is another claimant's for the moment, or in a part of the ring this claim did not see: look
   * once more, there. After that it waits for a place under a cap, and whoever frees one looks by itself; the next look is
   * anywhere, for what is due somewhere else.
   */
  private async nothingClaimed(): Promise<PollResult> {
    const { any, later, capped, lane } = await this.turns.msUntilDue(this.options.beat?.());
    const place = lane && `${lane.tenantId}/${lane.agentBefore ?? ''}`;
    const isNew = this.emptyHanded === 0 || (place !== this.sought && this.emptyHanded < MAX_LOOKS);
    const looksAgain = any === 0 && isNew;
    this.emptyHanded = looksAgain ? this.emptyHanded + 1 : 0;
    this.sought = place;
    this.ring.capped = capped;
    if (any === 0) this.ring.jump(looksAgain ? lane : undefined);
    this.leftWaiting = any === 0 || capped;
    const nextDueInMs = any === 0 && !looksAgain ? later : any;
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
