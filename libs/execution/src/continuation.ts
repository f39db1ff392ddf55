import type { JsonValue } from '@tyrum/protocol';
import type { ArrivalKind, OpenTurn, StepRow, TurnRow } from '@tyrum/statestore/turns';
import type { Alongside } from './step-executor';
import { nextMove } from './turn-driver';
import * as progress from './turn-progress';
import type { TurnChange } from './turn-progress';
import type { TurnStart, TurnWrite } from './turn-writer';

/** Inputs that waited, and what becomes of them. */
export interface Inputs {
  readonly turns: readonly TurnRow[];
  readonly to: string;
  readonly step: number | null;
  readonly settle: boolean;
}

/** What the run does after its next commit. */
export interface Continuation {
  readonly change: TurnChange;
  /** The step to execute once its intent is committed. */
  readonly step?: StepRow;
  /** The rows that differ from what is committed. */
  readonly rows: readonly StepRow[];
  readonly events: readonly TurnWrite['events'][number][];
  /** Where the turn goes if it does not go on: it ended, or it waits. */
  readonly rest?: 'ended' | 'parked' | { readonly waitMs: number };
  readonly wait?: progress.Wait;
  readonly post?: TurnWrite['post'];
  readonly alongside?: TurnWrite['alongside'];
  readonly dead?: TurnWrite['write']['dead'];
  /** Queued turns whose input it takes. */
  readonly inputs?: Inputs;
}

export const NO_CHANGE: TurnChange = { events: [], messages: [] };

export function ended(change: TurnChange): Continuation {
  return { change, rows: [], events: [], rest: 'ended' };
}

export function waiting(turn: TurnRow, waitMs: number): Continuation {
  return { change: progress.delayTurn(turn, waitMs), rows: [], events: [], rest: { waitMs } };
}

/** The resumption's own state and event, unless the continuation already takes the turn somewhere else. */
export function withTurn(resumed: TurnChange, next: Continuation): Continuation {
  const change = {
    patch: next.change.patch ?? resumed.patch,
    events: next.change.events,
    messages: next.change.messages,
  };
  const attempt = resumed.patch?.attempt;
  const patch = change.patch && attempt !== undefined ? { ...change.patch, attempt } : change.patch;
  return { ...next, change: { ...change, ...(patch ? { patch } : {}) }, events: [...resumed.events, ...next.events] };
}

export function nextState(next: Continuation, following: boolean): TurnWrite['write']['next'] {
  if (next.rest === undefined || following) return { kind: 'keep' };
  if (next.rest === 'ended') return { kind: 'release' };
  return next.rest === 'parked' ? { kind: 'park' } : { kind: 'retry', dueMs: next.rest.waitMs };
}

/** A queued turn as the next worker in a row to try it starts it. */
export function counted({ turn, steps }: OpenTurn, takeovers: number): OpenTurn {
  return takeovers < turn.attempt ? { turn, steps } : { turn: { ...turn, attempt: 1 + takeovers }, steps };
}

/**
 * A redriven turn has steps from the start, and perhaps one that is to be tried again. None is left when an operator took
 * its last one for done.
 */
export function firstStep({ turn, steps }: OpenTurn): StepRow | undefined {
  const last = steps.at(-1);
  if (last && !progress.isSettled(last)) return progress.nextAttempt(last);
  const move = nextMove(turn, steps);
  return move.kind === 'step' ? progress.intentOf(turn, move) : undefined;
}

/**
 * The first step of a turn that may begin without a word in the database: the step only reads, so that running it again
 * after a crash is no harm, and nothing else hangs on the turn's beginning. Undefined = it may not.
 */
export function quietFirstStep({ turn, steps }: OpenTurn): StepRow | undefined {
  if (turn.status !== 'queued' || turn.kind !== 'workflow' || steps.length > 0) return undefined;
  if (turn.budgets !== null || turn.parent_conversation_key !== null || turn.origin_turn_id !== null) return undefined;
  const move = nextMove(turn, steps);
  const reads = move.kind === 'step' && move.effect === 'read' && move.action.type !== 'Message';
  return reads ? progress.intentOf(turn, move) : undefined;
}

/** The beginning of a queued turn, as it is written: with the intent of its first step, or all that came of it already. */
export function startOf({ turn }: OpenTurn, step: StepRow | undefined, came?: Continuation): TurnStart {
  const { patch, events } = progress.startTurn(turn);
  if (!patch) throw new Error('a turn that starts is running');
  if (!came) {
    const first = step ? [step] : [];
    const told = first.map((one) => progress.stepEvent(turn, one));
    return { turn: patch, steps: first.map(progress.stepWrite), events: [...events, ...told] };
  }
  return {
    turn: came.change.patch ?? patch,
    steps: came.rows.map(progress.stepWrite),
    events: [...events, ...came.events, ...came.change.events],
  };
}

export function isArrivalKind(kind: TurnRow['wait_kind']): kind is ArrivalKind {
  return kind !== null && kind !== 'timer' && kind !== 'manual';
}

export function merged(steps: readonly StepRow[], rows: readonly StepRow[]): StepRow[] {
  const byIndex = new Map([...steps, ...rows].map((step) => [step.step_index, step]));
  return [...byIndex.values()].sort((a, b) => a.step_index - b.step_index);
}

export function overBudget(turn: TurnRow, rows: readonly StepRow[], detail: string): Continuation {
  return { change: progress.blockOnBudget(turn, detail), rows, events: [], rest: 'parked' };
}

export function waitingFor(turn: TurnRow, wait: progress.Wait, alongside?: Alongside): Continuation {
  const rest = wait.timeoutMs === undefined ? 'parked' : { waitMs: wait.timeoutMs };
  const change = progress.waitTurn(turn, wait);
  return { change, rows: [], events: [], rest, wait, ...(alongside ? { alongside } : {}) };
}

/** To the dead letters: it fails with what is known of the cause, and the conversation goes on with its next turn. */
export function givenUp(open: OpenTurn, attempt: number): Continuation {
  const attempts = attempt - 1;
  const lastError = open.steps.findLast((step) => step.error !== null)?.error ?? null;
  const message = `given up after ${attempts} workers did not finish it`;
  const error = {
    code: 'attempts_exhausted',
    message,
    ...(lastError ? { details: JSON.parse(lastError) as JsonValue } : {}),
  };
  const change = progress.finishTurn(open.turn, { kind: 'finish', status: 'failed', error });
  return { ...ended(change), dead: { turn_id: open.turn.turn_id, attempts, last_error: lastError } };
}
