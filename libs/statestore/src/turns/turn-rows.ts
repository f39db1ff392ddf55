/**
 * The rows of a conversation's work, as the turn statements read and write them. Times are milliseconds since the epoch
 * by the database's clock; JSON travels as text and is parsed by whoever needs it.
 */

export type TurnStatus = 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
export type TurnKind = 'workflow' | 'chat';
export type WaitKind = 'timer' | 'manual' | 'approval' | 'node' | 'turn' | 'signal';
export type BlockedReason = 'approval' | 'takeover' | 'budget' | 'manual' | 'policy';

/** What arrives from outside of the turn; the other kinds are over by themselves or by an operator. */
export type ArrivalKind = Exclude<WaitKind, 'timer' | 'manual'>;

/** What a turn waits for, or what has arrived before any turn waited for it, or both. */
export interface WaitRow {
  readonly tenant_id: string;
  readonly kind: ArrivalKind;
  readonly wait_id: string;
  readonly turn_id: string | null;
  readonly conversation_key: string | null;
  readonly arrived_at: number | null;
  /** JSON. */
  readonly outcome: string | null;
  readonly created_at: number;
}

export interface TurnRow {
  readonly tenant_id: string;
  readonly turn_id: string;
  readonly conversation_key: string;
  readonly turn_seq: number;
  readonly kind: TurnKind;
  readonly trigger_kind: string;
  readonly status: TurnStatus;
  readonly attempt: number;
  readonly input: string;
  readonly budgets: string | null;
  readonly wait_kind: WaitKind | null;
  readonly wait_id: string | null;
  readonly wait_until: number | null;
  readonly blocked_reason: BlockedReason | null;
  readonly blocked_detail: string | null;
  readonly cancel_requested_at: number | null;
  readonly cancel_reason: string | null;
  readonly error: string | null;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  /** The dead turn whose work this one goes on with; the first of a chain. */
  readonly origin_turn_id: string | null;
  /** The turn that took this one's input, and before which of its steps (null: before the first). */
  readonly delivered_to: string | null;
  readonly delivered_step: number | null;
  /** The turn that may wait for this one, and its conversation. */
  readonly parent_turn_id: string | null;
  readonly parent_conversation_key: string | null;
}

/** What a tenant (agent '') or one of its agents gets of the workers. */
export interface ClaimShareRow {
  readonly tenant_id: string;
  readonly agent_key: string;
  readonly weight: number;
  readonly max_running: number | null;
}

/** A turn that was given up. `cause` is JSON: {last_error, takeovers: [{owner, taken_from, token, at}]}. */
export interface DeadLetterRow {
  readonly tenant_id: string;
  readonly turn_id: string;
  readonly conversation_key: string;
  readonly attempts: number;
  readonly cause: string;
  readonly died_at: number;
  readonly redriven_as: string | null;
}

export type DeadTurnRow = TurnRow & Pick<DeadLetterRow, 'cause' | 'died_at'>;

export interface StepRow {
  readonly tenant_id: string;
  readonly turn_id: string;
  readonly step_index: number;
  readonly action: string;
  readonly effect: 'read' | 'idempotent' | 'once';
  readonly status: TurnStatus;
  readonly attempts: number;
  readonly result: string | null;
  readonly error: string | null;
  readonly started_at: number;
  readonly finished_at: number | null;
}

export interface ConversationRow {
  readonly tenant_id: string;
  readonly conversation_key: string;
  readonly agent_key: string;
  readonly channel: string;
  readonly account_key: string | null;
  readonly container_kind: string | null;
  readonly thread_id: string;
  readonly title: string;
  readonly queue_mode: 'collect' | 'followup' | 'steer' | 'steer_backlog' | 'interrupt';
  readonly created_at: number;
  readonly updated_at: number;
  readonly archived_at: number | null;
}

export interface MessageRow {
  readonly tenant_id: string;
  readonly conversation_key: string;
  readonly message_seq: number;
  readonly message_id: string;
  readonly turn_id: string | null;
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly parts: string;
  readonly metadata: string | null;
  readonly created_at: number;
}

/** What of a conversation is due and who holds it: the hot row. */
export interface QueueRow {
  readonly tenant_id: string;
  readonly conversation_key: string;
  /**
   * `idle` nothing to do · `ready` a worker may take it from `due_at` on · `leased` held until `due_at` · `parked` its
   * turn waits for somebody outside.
   */
  readonly state: 'idle' | 'ready' | 'leased' | 'parked';
  readonly due_at: number | null;
  /** Turns that are `queued`. */
  readonly pending: number;
  readonly last_turn_seq: number;
  readonly last_message_seq: number;
  readonly last_event_seq: number;
  readonly lease_owner: string | null;
  readonly lease_token: number;
  readonly agent_key: string;
  /** −10 to 10; see the lane index. */
  readonly priority: number;
  /** Claims that took the conversation from a worker that had not got its turn anywhere. */
  readonly takeovers: number;
  readonly queue_mode: ConversationRow['queue_mode'];
  /** Inputs that may wait behind the running turn, or null for the default. */
  readonly queue_cap: number | null;
  readonly queue_overflow: 'reject' | 'drop_oldest';
}
