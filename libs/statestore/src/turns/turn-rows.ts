/**
 * The rows of a conversation's work, as the turn statements read and write them. Times are milliseconds since the epoch
 * by the database's clock; JSON travels as text and is parsed by whoever needs it.
 */

export type TurnStatus = 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
export type TurnKind = 'workflow' | 'chat';
export type WaitKind = 'timer' | 'manual' | 'approval' | 'node' | 'turn' | 'signal';
export type BlockedReason = 'approval' | 'takeover' | 'budget' | 'manual' | 'policy';

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
}

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
}
