import type { ConversationRef, Reader, StateStore, Tx } from '../state-store';
import { refColumns } from './ref-columns';
import { listClaimShares, setClaimShare } from './sql/claim-shares';
import { findDeadLetter, listDeadTurns } from './sql/dead-letters';
import { listWaitingInputs } from './sql/deliver-inputs';
import { loadOpenTurns } from './sql/load-open-turns';
import { copySteps, markRedriven, setOrigin } from './sql/redrive-turn';
import { elapsedOfTurn, setBudgets } from './sql/turn-budgets';
import { findWait, findWaiters, recordArrival, setParent } from './sql/waits';
import type { ClaimShareRow, DeadLetterRow, DeadTurnRow, TurnRow, WaitRow } from './turn-rows';
import { NEWEST, type ClaimShare, type Redrive, type TurnFilter, type WaitId } from './turn-writes';

/** What is kept about turns besides their course, and touched only where a turn takes an unusual one. */
export class TurnRecords {
  constructor(protected readonly store: StateStore) {}

  /** Sets a tenant's, or with an agent that agent's, weight among the others and most conversations at once. */
  async setShare(share: ClaimShare): Promise<void> {
    await this.store.execute(setClaimShare, [
      share.tenantId,
      share.agentKey ?? '',
      share.weight ?? 1,
      share.maxRunning ?? null,
    ]);
  }

  /** The shares that were set for a tenant and its agents, the tenant's own (agent '') first. */
  listShares(tenantId: string, limit: number): Promise<ClaimShareRow[]> {
    return this.store.read((db) => db.query<ClaimShareRow>(listClaimShares, [tenantId, limit]));
  }

  /** The turns that were given up and not redriven, the last given up first, after a place. */
  listDead(
    db: Reader,
    tenantId: string,
    { limit, after: { at, turnId } = NEWEST }: Omit<TurnFilter, 'statuses'>,
  ): Promise<DeadTurnRow[]> {
    return db.query<DeadTurnRow>(listDeadTurns, [tenantId, at, turnId, limit]);
  }

  async findDead(db: Reader, tenantId: string, turnId: string): Promise<DeadLetterRow | undefined> {
    const [row] = await db.query<DeadLetterRow>(findDeadLetter, [tenantId, turnId]);
    return row;
  }

  /** Makes a queued turn go on where a dead one stopped; false when the dead one has been redriven. */
  async redrive(tx: Tx, { tenantId, dead, next, openStep }: Redrive): Promise<boolean> {
    if ((await tx.query(markRedriven, [tenantId, dead, next])).length === 0) return false;
    await tx.query(setOrigin, [tenantId, dead, next]);
    await tx.query(copySteps, [tenantId, dead, next, openStep.status, openStep.result]);
    return true;
  }

  /** For how long a turn has been under way by the database's clock, in ms. */
  async elapsedMs(db: Reader, tenantId: string, turnId: string): Promise<number> {
    const [row] = await db.query<{ elapsed_ms: number }>(elapsedOfTurn, [tenantId, turnId]);
    return row?.elapsed_ms ?? 0;
  }

  async setBudgets(tx: Tx, turn: TurnRow, budgets: object): Promise<void> {
    await tx.query(setBudgets, [turn.tenant_id, turn.turn_id, JSON.stringify(budgets)]);
  }

  async findWait(db: Reader, wait: WaitId): Promise<WaitRow | undefined> {
    const [row] = await db.query<WaitRow>(findWait, [wait.tenantId, wait.kind, wait.id]);
    return row;
  }

  /** Notes an arrival; false when it had arrived before. */
  async recordArrival(tx: Tx, wait: WaitId, outcome: string): Promise<boolean> {
    return (await tx.query(recordArrival, [wait.tenantId, wait.kind, wait.id, outcome])).length > 0;
  }

  /** The conversations whose turns wait for it. */
  async waiters(db: Reader, { tenantId, kind, id }: WaitId): Promise<ConversationRef[]> {
    const rows = await db.query<{ conversation_key: string }>(findWaiters, [tenantId, kind, id]);
    return rows.map((row) => ({ tenantId, conversationKey: row.conversation_key }));
  }

  /** Says which turn may wait for this one's end; in the transaction that accepts it. */
  async setParent(tx: Tx, ref: ConversationRef, turnId: string, parent: { turnId: string; conversationKey: string }) {
    await tx.query(setParent, [ref.tenantId, turnId, parent.turnId, parent.conversationKey]);
  }

  /** The first unfinished turns of each of these conversations, in order. */
  openTurns(db: Reader, refs: readonly ConversationRef[], limit: number): Promise<TurnRow[]> {
    return db.query<TurnRow>(loadOpenTurns, [JSON.stringify(refs.map(refColumns)), limit]);
  }

  /** A conversation's queued replies whose input no turn has taken, oldest first. */
  waitingInputs(ref: ConversationRef, limit: number): Promise<TurnRow[]> {
    return this.store.read((db) => db.query<TurnRow>(listWaitingInputs, [ref.tenantId, ref.conversationKey, limit]));
  }
}
