import type { ConversationRef } from '../state-store';
import type { ArrivalKind, ConversationRow, MessageRow, QueueRow, StepRow, TurnRow } from './turn-rows';

/** A conversation as it is first written. */
export type NewConversation = Omit<ConversationRow, 'queue_mode' | 'created_at' | 'updated_at' | 'archived_at'>;

/** Where a list of turns goes on: after the turn that was made, or given up, then. */
export interface TurnPlace {
  readonly at: number;
  readonly turnId: string;
}

/** Before every turn there is in a list of the newest. */
export const NEWEST: TurnPlace = { at: Number.MAX_SAFE_INTEGER, turnId: '00000000-0000-0000-0000-000000000000' };

export interface TurnFilter {
  readonly statuses: readonly TurnRow['status'][];
  readonly limit: number;
  readonly after?: TurnPlace;
}

/** A turn as it is accepted; its place in the conversation is given by the store. */
export type NewTurn = Pick<
  TurnRow,
  'tenant_id' | 'turn_id' | 'conversation_key' | 'kind' | 'trigger_kind' | 'input' | 'budgets'
>;

/** A message to append; its place in the conversation is given by the store. */
export type NewMessage = Omit<MessageRow, 'message_seq' | 'created_at'>;

/** What to add to one conversation in one commit. */
export interface Enqueue {
  readonly conversation: NewConversation;
  readonly turns: readonly NewTurn[];
  readonly messages: readonly NewMessage[];
  /** How many events the caller appends for this conversation, besides the one a new conversation gets. */
  readonly events: number;
  /** −10 to 10; each step is worth 30 s of waiting. */
  readonly priority?: number;
}

export interface Enqueued {
  readonly state: QueueRow['state'];
  /** Queued turns, the new ones included. */
  readonly pending: number;
  readonly queueMode: ConversationRow['queue_mode'];
  readonly queueCap: number | null;
  readonly queueOverflow: QueueRow['queue_overflow'];
  /** The conversation was not there before; one more event was counted for its creation, and it comes first. */
  readonly created: boolean;
  /** The sequence of the first event the caller may append. */
  readonly firstEventSeq: number;
}

/** A conversation taken under a lease. */
export interface ClaimedConversation extends ConversationRef {
  readonly token: number;
  /** Whose lease had run out, or null when the conversation was simply ready. */
  readonly takenFrom: string | null;
  /** Workers in a row that lost it before its turn ended or let go; this claim included. */
  readonly takeovers: number;
  readonly queueMode: ConversationRow['queue_mode'];
  /** Its first open turns, in order, as many as were asked for. */
  readonly turns: readonly TurnRow[];
}

/** What is waited for. */
export interface WaitId {
  readonly tenantId: string;
  readonly kind: ArrivalKind;
  readonly id: string;
}

/** What a tenant or one of its agents gets of the workers. */
export interface ClaimShare {
  readonly tenantId: string;
  /** Absent: the tenant as a whole. */
  readonly agentKey?: string;
  /** Conversations a round, 1 to 100; of the tenant only. */
  readonly weight?: number;
  /** Most conversations running at once. */
  readonly maxRunning?: number;
}

/** A dead turn, the queued one that goes on with its work, and what becomes of the step it had open. */
export interface Redrive {
  readonly tenantId: string;
  readonly dead: string;
  readonly next: string;
  readonly openStep: { readonly status: StepRow['status']; readonly result: string | null };
}

/** One unfinished turn with the steps it has so far. */
export interface OpenTurn {
  readonly turn: TurnRow;
  readonly steps: readonly StepRow[];
}

/** A turn's new state. What is left out becomes null. */
export interface TurnPatch {
  readonly turnId: string;
  readonly turnSeq: number;
  readonly status: TurnRow['status'];
  readonly attempt: number;
  readonly waitKind?: TurnRow['wait_kind'];
  readonly waitId?: string;
  readonly waitMs?: number;
  readonly blockedReason?: TurnRow['blocked_reason'];
  readonly blockedDetail?: string;
  /** JSON. */
  readonly error?: string;
  readonly cancelReason?: string;
}

export type StepWrite = Omit<StepRow, 'tenant_id' | 'started_at' | 'finished_at'>;

/** A queued turn that begins, and may have ended already. */
export interface StartWrite {
  readonly turn: TurnPatch;
  readonly steps: readonly StepWrite[];
  readonly events: number;
}

/** What is written about one conversation in one commit. */
export interface ConversationWrite extends ConversationRef {
  /**
   * The fence: nothing of this is written unless the conversation is still leased under it. Null is for an outside hand
   * (cancel, resolve) that holds the row's lock and has looked at its state.
   */
  readonly token: number | null;
  /** The current turn's new state. */
  readonly turn?: TurnPatch;
  readonly steps: readonly StepWrite[];
  readonly messages: readonly NewMessage[];
  readonly events: number;
  /** Turns that were queued so far, in their order: each is written if nobody cancelled it meanwhile. */
  readonly starts?: readonly StartWrite[];
  /** Queued turns that this settles without starting them. */
  readonly dequeued?: number;
  /** Queued turns whose input the current (or the started) turn takes, before its step `step` or before it starts. */
  readonly inputs?: {
    readonly turnIds: readonly string[];
    readonly to: string;
    readonly step: number | null;
    /** They have thereby succeeded; else they stay queued. */
    readonly settle: boolean;
  };
  /** What the current turn waits for from here on. If it has arrived already, the conversation is ready at once. */
  readonly wait?: { readonly kind: ArrivalKind; readonly id: string; readonly turnId: string };
  /** The current turn ends here for good: keep it, with its last error (JSON), for an operator. */
  readonly dead?: { readonly turn_id: string; readonly attempts: number; readonly last_error: string | null };
  readonly next: NextState;
}

/** What becomes of the lease: kept; let go; let go and due again after a delay; let go until something arrives. */
export type NextState =
  { readonly kind: 'keep' | 'release' | 'park' } | { readonly kind: 'retry'; readonly dueMs: number };

export interface Written {
  /** False: the lease is somebody else's, and nothing was written. */
  readonly applied: boolean;
  /** The ids of the turns of `starts` that nobody had cancelled. */
  readonly started: readonly string[];
  /** Queued turns that ended because their input was taken. One event is counted for each, behind all others. */
  readonly settled: readonly string[];
  /** The conversation may be taken by a worker, now or later. */
  readonly ready: boolean;
  readonly firstEventSeq: number;
}
