import type { ConversationRef, Param, Reader, Tx } from '../state-store';
import { advanceConversations } from './sql/advance-conversations';
import { claimAllDue } from './sql/claim-all-due';
import { ClaimRing, type DueLane, type RingPlace } from './claim-ring';
import {
  CLAIM_MOST,
  claimConversations,
  nextDue,
  nextDueWithBeat,
  noteTakeovers,
  takeConversations,
} from './sql/claim-conversations';
import { beginConversations, countTurns } from './sql/enqueue-turns';
import { holdConversations } from './sql/hold-conversations';
import { insertConversations } from './sql/insert-conversations';
import { insertMessages } from './sql/insert-messages';
import { insertTurns } from './sql/insert-turns';
import { loadOpenTurns, loadSteps } from './sql/load-open-turns';
import { findOpenChatTurn, findTurn, listTurns } from './sql/read-turns';
import { findStopRequests, renewConversationLeases } from './sql/renew-conversation-leases';
import { requestCancel } from './sql/request-cancel';
import { byKey, refColumns, required, rowKey, type Counters, type RefColumns } from './ref-columns';
import { TurnRecords } from './turn-records';
import type { ConversationRow, QueueRow, StepRow, TurnRow } from './turn-rows';
import {
  NEWEST,
  type ClaimedConversation,
  type Enqueue,
  type Enqueued,
  type OpenTurn,
  type TurnFilter,
} from './turn-writes';

/**
 * The conversations' work in the database: every statement is set-based, so that its cost per turn falls as batches grow.
 * Callers append the events in the same transaction, under the sequence numbers given here.
 */
export class TurnStore extends TurnRecords {
  /** Adds turns and messages, one `Enqueue` a conversation; the caller has locked the conversations. */
  async enqueue(tx: Tx, batch: readonly Enqueue[]): Promise<Enqueued[]> {
    const counts = batch.map((e) => ({
      turns: e.turns.length,
      messages: e.messages.length,
      events: e.events,
      priority: e.priority ?? 0,
      ...e.conversation,
    }));
    const rows = byKey(await this.count(tx, counts));
    const turns: object[] = [];
    const messages: object[] = [];
    const enqueued = batch.map((e) => {
      const after = required(rows, rowKey(e.conversation));
      let turnSeq = after.last_turn_seq - e.turns.length;
      let messageSeq = after.last_message_seq - e.messages.length;
      for (const turn of e.turns) turns.push({ turn_seq: ++turnSeq, ...turn });
      for (const message of e.messages) messages.push({ message_seq: ++messageSeq, ...message });
      return {
        created: after.created,
        firstEventSeq: after.last_event_seq - e.events - (after.created ? 1 : 0) + 1,
        state: after.state,
        pending: after.pending,
        queueMode: after.queue_mode,
        queueCap: after.queue_cap,
        queueOverflow: after.queue_overflow,
      };
    });
    // Their answers say nothing; whether they took place, the commit tells.
    if (turns.length > 0) void tx.query(insertTurns, [turns]);
    if (messages.length > 0) void tx.query(insertMessages, [JSON.stringify(messages)]);
    return enqueued;
  }

  /** Nearly every conversation is there; those that are not are made. */
  private async count(tx: Tx, counts: readonly (RefColumns & object)[]): Promise<EnqueueRow[]> {
    const counted = await tx.query<Omit<EnqueueRow, 'created'>>(countTurns, [counts]);
    const rows = counted.map((row) => ({ ...row, created: false }));
    if (rows.length === counts.length) return rows;
    const there = byKey(rows);
    return [
      ...rows,
      ...(await this.begin(
        tx,
        counts.filter((row) => !there.has(rowKey(row))),
      )),
    ];
  }

  private async begin(tx: Tx, counts: readonly (RefColumns & object)[]): Promise<EnqueueRow[]> {
    if (this.store.dialect === 'postgres') return tx.query<EnqueueRow>(beginConversations, [counts]);
    const made = byKey(await tx.query<RefColumns>(insertConversations, [JSON.stringify(counts)]));
    const marked = counts.map((count) => ({ ...count, created: made.has(rowKey(count)) ? 1 : 0 }));
    const rows = await tx.query<EnqueueRow>(beginConversations, [marked]);
    return rows.map((row) => ({ ...row, created: made.has(rowKey(row)) }));
  }

  /**
   * Takes up to `limit` due conversations for `owner`: all that are due if that is all, else from its place in the ring of
   * tenants on; moves the ring. With each come up to `turnsEach` of its open turns.
   */
  async claim(
    owner: string,
    leaseTtlMs: number,
    limit: number,
    { ring = new ClaimRing(), turnsEach = 0 }: ClaimOptions = {},
  ): Promise<ClaimedConversation[]> {
    const wanted = { owner, leaseTtlMs, limit, ring, turnsEach };
    if (this.store.dialect === 'sqlite') {
      return this.claimed(await this.store.transaction((tx) => this.pickAndTake(tx, wanted)), wanted);
    }
    if (ring.hopes) {
      const rows = await this.store.execute<ClaimRow>(claimAllDue, allDueParams(wanted));
      const claimed = await this.claimed(rows, wanted);
      if (rows[0]?.is_all) return claimed;
    }
    return this.claimed(await this.store.execute<ClaimRow>(claimConversations, ringParams(wanted)), wanted);
  }

  /**
   * The same as the last of a transaction, with what it has made due itself. Once this has resolved COMMIT may follow; what was
   * taken, `claimed` says after it. If it hoped for all, and that was too much, that is nothing.
   */
  async claimIn(
    tx: Tx,
    owner: string,
    leaseTtlMs: number,
    limit: number,
    { ring = new ClaimRing(), turnsEach = 0 }: ClaimOptions = {},
  ): Promise<{ readonly claimed: () => Promise<ClaimedConversation[]> }> {
    const wanted = { owner, leaseTtlMs, limit, ring, turnsEach };
    const asked = this.askIn(tx, wanted);
    // The transaction fails with it, and tells.
    asked.catch(() => undefined);
    // Postgres answers in order, and one round trip will do; on SQLite each statement waits for the one before it.
    if (this.store.dialect === 'sqlite') await asked;
    return { claimed: async () => this.claimed(await asked, wanted) };
  }

  private askIn(tx: Tx, wanted: Wanted): Promise<ClaimRow[]> {
    if (this.store.dialect === 'sqlite') return this.pickAndTake(tx, wanted);
    return wanted.ring.hopes
      ? tx.query<ClaimRow>(claimAllDue, allDueParams(wanted))
      : tx.query<ClaimRow>(claimConversations, ringParams(wanted));
  }

  private async claimed(rows: readonly ClaimRow[], { limit, ring, turnsEach }: Wanted): Promise<ClaimedConversation[]> {
    const conversations = groupBy(rows.filter(isConversation), rowKey);
    const claimed = [...conversations.values()].map((turns) => turns[0] as ClaimRow);
    const stale = claimed.filter((row) => row.is_stale).map(ref);
    const reread = stale.length > 0 ? await this.store.read((db) => this.openTurns(db, stale, turnsEach)) : [];
    const readAgain = groupBy(reread, rowKey);
    // The caller looks at the ring next, and no other claim may have moved it by then.
    const hoped = rows[0]?.is_all;
    if (hoped === undefined) ring.advance(claimed, limit);
    else if (hoped) ring.tookAll();
    else ring.hopedInVain();
    return claimed.map((row) => ({
      ...ref(row),
      token: row.lease_token,
      takenFrom: row.taken_from ?? null,
      takeovers: row.takeovers,
      queueMode: row.queue_mode,
      turns: row.is_stale
        ? (readAgain.get(rowKey(row)) ?? [])
        : ((conversations.get(rowKey(row)) ?? []).filter(({ turn_id }) => turn_id !== null) as unknown as TurnRow[]),
    }));
  }

  private async pickAndTake(tx: Tx, wanted: Wanted): Promise<ClaimRow[]> {
    const { owner, leaseTtlMs, turnsEach } = wanted;
    const picked = await tx.query<ClaimRow & { now_ms: number }>(claimConversations, ringParams(wanted).slice(0, -1));
    if (picked.length === 0) return [];
    const keys = JSON.stringify(picked.map(({ tenant_id, conversation_key }) => ({ tenant_id, conversation_key })));
    const now = picked[0]?.now_ms ?? 0;
    if (picked.some(({ taken_from }) => taken_from !== null)) void tx.query(noteTakeovers, [owner, now, keys]);
    const [taken, turns] = await Promise.all([
      tx.query<ClaimRow>(takeConversations, [owner, leaseTtlMs, now, keys]),
      turnsEach > 0 ? tx.query<TurnRow>(loadOpenTurns, [keys, turnsEach]) : [],
    ]);
    const [takenOf, turnsOf] = [byKey(taken), groupBy(turns, rowKey)];
    return picked.flatMap((row): ClaimRow[] => {
      const claim = { ...row, ...required(takenOf, rowKey(row)) };
      const open = turnsOf.get(rowKey(row)) ?? [];
      return open.length === 0 ? [{ ...claim, turn_id: null }] : open.map((turn) => ({ ...turn, ...claim }));
    });
  }

  /**
   * Milliseconds until the next conversation is due (0 = now) and until the next one that is not due yet; undefined when
   * none will be by itself. `capped`: shares have caps, under which what is due may be waiting for a place. `lane`: where what is
   * ready has waited longest.
   */
  async msUntilDue(beat?: readonly Param[]): Promise<DueTimes> {
    const [row] = beat
      ? await this.store.execute<DueRow>(nextDueWithBeat, beat)
      : await this.store.read((db) => db.query<DueRow>(nextDue));
    const until = (at: number | null | undefined) => (at == null ? undefined : Math.max(0, at - (row?.now_ms ?? 0)));
    const { lane_tenant: tenantId, lane_before: agentBefore } = row ?? {};
    const lane = tenantId ? { tenantId, ...(agentBefore ? { agentBefore } : {}) } : undefined;
    return { any: until(row?.due_at), later: until(row?.later_at), capped: Boolean(row?.capped), lane };
  }

  /** Reserves `count` places in a conversation's order of events, outside of any turn, and returns the first. */
  async takeEventSeqs(tx: Tx, ref: ConversationRef, count: number): Promise<number> {
    const counts = { started: 0, dequeued: 0, messages: 0, events: count, ended_seq: null };
    const move = { ...counts, lease_token: null, ...refColumns(ref), next: 'keep', due_ms: null };
    const [row] = await tx.query<Counters>(advanceConversations, [[move]]);
    if (!row) throw new Error('a conversation under our lock stays');
    return row.last_event_seq - count + 1;
  }

  /** The first unfinished turns of a conversation, in order, with their steps. */
  async loadWork(conversation: ConversationRef, limit: number): Promise<OpenTurn[]> {
    return this.withSteps(await this.store.read((db) => this.openTurns(db, [conversation], limit)));
  }

  /** The turns that came with each of these claims, with their steps. */
  async workOf(claimed: readonly ClaimedConversation[]): Promise<OpenTurn[][]> {
    const open = await this.withSteps(claimed.flatMap(({ turns }) => turns));
    let taken = 0;
    return claimed.map(({ turns }) => open.slice(taken, (taken += turns.length)));
  }

  private async withSteps(turns: readonly TurnRow[]): Promise<OpenTurn[]> {
    // A redriven turn is queued with the steps that its origin had.
    const begun = turns.filter((turn) => turn.status !== 'queued' || turn.origin_turn_id !== null);
    if (begun.length === 0) return turns.map((turn) => ({ turn, steps: [] }));
    const ids = begun.map(({ tenant_id, turn_id }) => ({ tenant_id, turn_id }));
    const steps = await this.store.read((db) => db.query<StepRow>(loadSteps, [JSON.stringify(ids)]));
    const stepsOf = groupBy(steps, (step) => step.turn_id);
    return turns.map((turn) => ({ turn, steps: stepsOf.get(turn.turn_id) ?? [] }));
  }

  /** Extends leases. Returns which are still held, and of the running turns those to cancel and those of disabled tenants. */
  async renew(
    leases: readonly { ref: ConversationRef; token: number; turnId?: string }[],
    leaseTtlMs: number,
  ): Promise<{ held: boolean[]; cancelRequested: Set<string>; tenantDisabled: Set<string> }> {
    const wanted = leases.map((lease) => ({ lease_token: lease.token, ...refColumns(lease.ref) }));
    const running = leases.flatMap(({ ref, turnId }) => (turnId ? [{ tenant_id: ref.tenantId, turn_id: turnId }] : []));
    const rows = await this.store.execute<LeaseRow>(renewConversationLeases, [JSON.stringify(wanted), leaseTtlMs]);
    const kept = new Set(rows.map((row) => `${rowKey(row)}/${row.lease_token}`));
    const stops = await this.store.read((db) => db.query<StopRow>(findStopRequests, [JSON.stringify(running)]));
    const those = (which: 'cancelled' | 'disabled') =>
      new Set(stops.filter((row) => Boolean(row[which])).map((row) => row.turn_id));
    return {
      held: wanted.map((lease) => kept.has(`${rowKey(lease)}/${lease.lease_token}`)),
      cancelRequested: those('cancelled'),
      tenantDisabled: those('disabled'),
    };
  }

  /** Locks these hot rows, whoever holds them, and returns those that exist. */
  hold(tx: Tx, refs: readonly ConversationRef[]): Promise<QueueRow[]> {
    return tx.query<QueueRow>(holdConversations, [refs.map((r) => ({ lease_token: null, ...refColumns(r) }))]);
  }

  async find(db: Reader, tenantId: string, turnId: string): Promise<TurnRow | undefined> {
    const [row] = await db.query<TurnRow>(findTurn, [tenantId, turnId]);
    return row;
  }

  steps(db: Reader, tenantId: string, turnId: string): Promise<StepRow[]> {
    return db.query<StepRow>(loadSteps, [JSON.stringify([{ tenant_id: tenantId, turn_id: turnId }])]);
  }

  /** The turns in any of these states, newest first, after a place. */
  list(
    db: Reader,
    tenantId: string,
    { statuses, limit, after: { at, turnId } = NEWEST }: TurnFilter,
  ): Promise<TurnRow[]> {
    return db.query<TurnRow>(listTurns, [tenantId, JSON.stringify(statuses), at, turnId, limit]);
  }

  /** The turn that is writing, or will write, the next reply in a conversation. */
  async openChatTurnId(db: Reader, { tenantId, conversationKey }: ConversationRef): Promise<string | undefined> {
    const [row] = await db.query<{ turn_id: string }>(findOpenChatTurn, [tenantId, conversationKey]);
    return row?.turn_id;
  }

  /** Leaves word for whoever runs the turn; it finds it at its next renewal at the latest. */
  async requestCancel(tx: Tx, turn: TurnRow, reason: string | null): Promise<void> {
    await tx.query(requestCancel, [turn.tenant_id, turn.turn_id, reason]);
  }
}

type EnqueueRow = Counters &
  Pick<QueueRow, 'pending' | 'queue_mode' | 'queue_cap' | 'queue_overflow'> & { readonly created: boolean };
interface DueRow {
  readonly now_ms: number;
  readonly due_at: number | null;
  readonly later_at: number | null;
  readonly capped: boolean | number;
  readonly lane_tenant: string | null;
  readonly lane_before: string | null;
}
interface DueTimes {
  readonly any: number | undefined;
  readonly later: number | undefined;
  readonly capped: boolean;
  readonly lane?: DueLane | undefined;
}
interface ClaimOptions {
  readonly ring?: ClaimRing;
  readonly turnsEach?: number;
}

/** What a claim is asked for. */
interface Wanted extends Required<ClaimOptions> {
  readonly owner: string;
  readonly leaseTtlMs: number;
  readonly limit: number;
}

interface ClaimRow extends RefColumns, RingPlace {
  readonly turn_id: string | null;
  readonly takeovers: number;
  readonly queue_mode: ConversationRow['queue_mode'];
  readonly lease_token: number;
  readonly taken_from?: string | null;
  /** Postgres, of a claim that hoped for all: whether it took it. */
  readonly is_all?: boolean;
  /** Postgres: its turns are older than its lease. */
  readonly is_stale?: boolean;
}
interface LeaseRow extends RefColumns {
  readonly lease_token: number;
}

interface StopRow {
  readonly turn_id: string;
  readonly cancelled: boolean | number;
  readonly disabled: boolean | number;
}

function allDueParams({ owner, leaseTtlMs, limit, turnsEach }: Wanted): Param[] {
  return [owner, leaseTtlMs, Math.min(limit, CLAIM_MOST), turnsEach];
}

function ringParams({ owner, leaseTtlMs, limit, ring, turnsEach }: Wanted): Param[] {
  return [owner, leaseTtlMs, limit, ...ring.params, turnsEach];
}

/** A claim that hoped for all, and got nothing, answers with one row that is none. */
function isConversation(row: { readonly conversation_key: string | null }): boolean {
  return row.conversation_key !== null;
}

function ref(row: RefColumns): ConversationRef {
  return { tenantId: row.tenant_id, conversationKey: row.conversation_key };
}

function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
