import type { Action, DeadLetter, Step, StepError, Turn, TurnDetail, TurnListItem } from '@tyrum/protocol';
import { agentKeyOf, defaultEffectOf } from '@tyrum/protocol';
import { readStepArtifacts } from '@tyrum/evidence';
import type { StateStore } from '@tyrum/statestore';
import type { DeadLetterRow, StepRow, TurnFilter, TurnPlace, TurnRow, TurnStore } from '@tyrum/statestore/turns';
import { isoTime } from './conversation-view';
import { workflowInputOf } from './parsed-rows';
import { OUTCOME_UNKNOWN } from './turn-progress';

/** A turn with its steps, what it waits for, and why it failed. */
export type TurnAnswer = TurnDetail & { readonly error?: StepError; readonly dead?: DeadLetter };

/** A page of turns and, when there are more, the place to go on from. */
export interface TurnPage {
  readonly turns: TurnListItem[];
  readonly next?: TurnPlace;
}

/** Reads turns in their wire shapes. */
export class TurnReader {
  constructor(
    private readonly store: StateStore,
    private readonly turns: TurnStore,
  ) {}

  /** Turns, newest first. */
  async list(tenantId: string, filter: TurnFilter): Promise<TurnPage> {
    const { limit } = filter;
    const rows = await this.store.read((db) => this.turns.list(db, tenantId, { ...filter, limit: limit + 1 }));
    const next = rows.length > limit ? rows[limit - 1] : undefined;
    const turns = rows.slice(0, limit).map(toListItem);
    return { turns, ...(next ? { next: { at: next.created_at, turnId: next.turn_id } } : {}) };
  }

  /** The turns that were given up and that nobody has redriven, each with its cause, the last given up first. */
  async listDead(tenantId: string, filter: Omit<TurnFilter, 'statuses'>): Promise<TurnPage> {
    const { limit } = filter;
    const rows = await this.store.read((db) => this.turns.listDead(db, tenantId, { ...filter, limit: limit + 1 }));
    const next = rows.length > limit ? rows[limit - 1] : undefined;
    const turns = rows
      .slice(0, limit)
      .map((row) => ({ ...toListItem(row), dead: toDeadLetter({ ...row, redriven_as: null }) }));
    return { turns, ...(next ? { next: { at: next.died_at, turnId: next.turn_id } } : {}) };
  }

  /** A turn with its steps: those that ran, and those of a workflow that are still to come. */
  async get(tenantId: string, turnId: string): Promise<TurnAnswer | undefined> {
    return this.store.read(async (db) => {
      const row = await this.turns.find(db, tenantId, turnId);
      if (!row) return undefined;
      const steps = await this.turns.steps(db, tenantId, turnId);
      const artifacts = await readStepArtifacts(db, tenantId, turnId);
      const dead = row.status === 'failed' ? await this.turns.findDead(db, tenantId, turnId) : undefined;
      return {
        turn: toTurn(row),
        steps: [
          ...steps.map((step) => toStep(step, artifacts.get(step.step_index))),
          ...stepsToCome(row, steps.length),
        ],
        ...(row.error ? { error: JSON.parse(row.error) as StepError } : {}),
        ...(dead ? { dead: toDeadLetter(dead) } : {}),
        ...(row.wait_kind ? { waiting: waitingFor(row, steps.at(-1)) } : {}),
      };
    });
  }

  /** The reply stream that is or will be written in a conversation. */
  openStreamId(tenantId: string, conversationKey: string): Promise<string | undefined> {
    return this.store.read((db) => this.turns.openChatTurnId(db, { tenantId, conversationKey }));
  }
}

function toListItem(row: TurnRow): TurnListItem {
  return {
    turn: toTurn(row),
    agent_key: agentKeyOf(row.conversation_key),
    conversation_key: row.conversation_key,
    trigger_kind: row.trigger_kind,
  };
}

function toDeadLetter({ cause, died_at, redriven_as }: Omit<DeadLetterRow, 'attempts' | keyof TurnRow>): DeadLetter {
  const { last_error, takeovers } = JSON.parse(cause) as {
    last_error: StepError | null;
    takeovers: { owner: string; taken_from: string; at: number }[];
  };
  return {
    died_at: isoTime(died_at),
    last_error,
    takeovers: takeovers.map(({ owner, taken_from, at }) => ({ owner, taken_from, at: isoTime(at) })),
    ...(redriven_as === null ? {} : { redriven_as }),
  };
}

export function toTurn(row: TurnRow): Turn {
  return {
    turn_id: row.turn_id,
    job_id: row.turn_id,
    conversation_key: row.conversation_key,
    status: row.status,
    attempt: row.attempt,
    created_at: isoTime(row.created_at),
    started_at: row.started_at === null ? null : isoTime(row.started_at),
    finished_at: row.finished_at === null ? null : isoTime(row.finished_at),
    ...(row.blocked_reason ? { blocked_reason: row.blocked_reason } : {}),
    ...(row.blocked_detail ? { blocked_detail: row.blocked_detail } : {}),
    ...(row.budgets ? { budgets: JSON.parse(row.budgets) as Turn['budgets'] } : {}),
  };
}

function toStep(row: StepRow, artifacts: Step['artifacts'] = []): Step {
  const result = row.result ? (JSON.parse(row.result) as NonNullable<Step['result']>) : undefined;
  return {
    step_index: row.step_index,
    action: JSON.parse(row.action) as Action,
    status: row.status,
    attempts: row.attempts,
    effect: row.effect,
    ...(result ? { result } : {}),
    ...(row.error ? { error: JSON.parse(row.error) as NonNullable<Step['error']> } : {}),
    ...(isUnknown(row) ? { outcome: 'unknown' as const } : {}),
    artifacts,
    started_at: isoTime(row.started_at),
    finished_at: row.finished_at === null ? null : isoTime(row.finished_at),
  };
}

function stepsToCome(row: TurnRow, done: number): Step[] {
  if (row.kind !== 'workflow') return [];
  const { steps } = workflowInputOf(row);
  return steps.slice(done).map((action, i) => ({
    step_index: done + i,
    action,
    status: row.finished_at === null ? 'queued' : 'cancelled',
    attempts: 0,
    effect: defaultEffectOf(action),
    artifacts: [],
    started_at: null,
    finished_at: null,
  }));
}

function waitingFor(row: TurnRow, step: StepRow | undefined): NonNullable<TurnDetail['waiting']> {
  return {
    kind: row.wait_kind ?? 'timer',
    id: row.wait_id ?? row.turn_id,
    since: isoTime(step?.started_at ?? row.created_at),
    detail: row.blocked_detail ?? (row.wait_until === null ? null : `until ${isoTime(row.wait_until)}`),
  };
}

function isUnknown(row: StepRow): boolean {
  return row.status === 'paused' && row.error !== null && (JSON.parse(row.error) as StepError).code === OUTCOME_UNKNOWN;
}
