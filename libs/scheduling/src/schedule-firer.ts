import type { TurnIntake } from '@tyrum/execution';
import type { HeldLease, Leases } from '@tyrum/leases';
import { payloadFingerprint, requireExecutable, StepsExecution, validatePayload, type Cadence } from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import { latestInstant, nextInstant, type Anchored } from './cadence';
import { advanceSchedule, insertFiring } from './sql/advance-schedule';

/** A schedule as the due query reads it. Times in ms by the database's clock. */
export interface DueSchedule {
  readonly tenant_id: string;
  readonly schedule_id: string;
  /** JSON text, as are the steps to run: not yet checked. */
  readonly cadence: string;
  readonly execution: string;
  readonly next_fire_at: number;
  readonly created_at: number;
  /** When it was read. */
  readonly now: number;
}

export type FiringOutcome =
  /** The turn is durable. `caughtUp`: the instant stands for earlier ones that nobody was there for. */
  | { readonly kind: 'fired'; readonly instant: number; readonly caughtUp: boolean }
  /** The shard's lease is lost: nothing was written. */
  | { readonly kind: 'fenced' }
  /** Somebody fired, changed or removed it meanwhile: nothing was written. */
  | { readonly kind: 'overtaken' }
  /** That instant had been fired before and `next_fire_at` was set back: it has only moved on. */
  | { readonly kind: 'repeated' };

/** Instants that are late by no more than this each go off; of those later still only the last does. */
export const MISFIRE_GRACE_MS = 60_000;
/** A schedule that cannot be fired is tried again at its first instant after this. */
const POSTPONE_MS = 60_000;
/** The same, when not even its cadence can be read. */
const POSTPONE_UNREADABLE_MS = 60 * 60_000;

/** Turns an instant of a schedule into a turn: the firing, the turn and the advance of the schedule are one commit. */
export class ScheduleFirer {
  constructor(
    private readonly store: StateStore,
    private readonly leases: Leases,
    private readonly intake: TurnIntake,
    private readonly newId: () => string,
  ) {}

  /**
   * Fires the schedule under the lease of its shard. Wake the workers after a `fired`.
   * @throws {ContractError} what is stored cannot be run any more; see `postpone`
   * @throws {StoreUnavailableError} nothing was written
   * @throws {UnknownCommitError} it may have been written; the next look at the schedule tells
   */
  fire(due: DueSchedule, lease: HeldLease): Promise<FiringOutcome> {
    const schedule = anchored(due);
    const execution = validatePayload(StepsExecution, JSON.parse(due.execution), 'execution');
    requireExecutable(execution.steps, 'execution.steps');
    const inGrace = due.next_fire_at >= due.now - MISFIRE_GRACE_MS;
    const instant = inGrace ? due.next_fire_at : latestInstant(schedule, due.next_fire_at, due.now);
    const next = nextInstant(schedule, instant) ?? null;
    const conversation = { tenantId: due.tenant_id, conversationKey: execution.conversation_key };
    return this.store.transaction(async (tx): Promise<FiringOutcome> => {
      await tx.lockConversations([conversation]);
      if (!(await this.leases.isHeld(tx, lease))) return { kind: 'fenced' };
      const key = [due.tenant_id, due.schedule_id] as const;
      if ((await tx.query(advanceSchedule, [...key, due.next_fire_at, next, instant])).length === 0) {
        return { kind: 'overtaken' };
      }
      const turnId = this.newId();
      if ((await tx.query(insertFiring, [...key, instant, turnId])).length === 0) return { kind: 'repeated' };
      await this.accept(tx, { due, execution, instant, turnId });
      return { kind: 'fired', instant, caughtUp: instant !== due.next_fire_at };
    });
  }

  /** Moves a schedule that cannot be fired out of the way of the others, without firing it. */
  async postpone(due: DueSchedule): Promise<void> {
    let next: number | null;
    try {
      next = nextInstant(anchored(due), due.now + POSTPONE_MS) ?? null;
    } catch {
      next = due.now + POSTPONE_UNREADABLE_MS;
    }
    await this.store.execute(advanceSchedule, [due.tenant_id, due.schedule_id, due.next_fire_at, next, null]);
  }

  private async accept(
    tx: Tx,
    firing: { due: DueSchedule; execution: StepsExecution; instant: number; turnId: string },
  ): Promise<void> {
    const { due, execution, instant, turnId } = firing;
    const tenantId = due.tenant_id;
    const outcome = await this.intake.acceptIn(tx, {
      tenantId,
      conversationKey: execution.conversation_key,
      turnId,
      kind: 'workflow',
      triggerKind: 'schedule',
      input: { steps: execution.steps },
      ...(execution.budgets ? { budgets: execution.budgets } : {}),
      idempotency: {
        tenantId,
        route: 'schedule',
        principal: due.schedule_id,
        key: new Date(instant).toISOString(),
        fingerprint: payloadFingerprint(JSON.parse(due.execution)),
      },
      answer: { turn_id: turnId },
    });
    // The firing row was free, so its key is too: both are written in one commit, and this one goes first.
    if (outcome.kind !== 'accepted' || outcome.replayed) throw new Error('a firing without a record has a key in use');
  }
}

function anchored(due: DueSchedule): Anchored {
  return { cadence: JSON.parse(due.cadence) as Cadence, anchorMs: due.created_at };
}
