import type { OutboxEvent } from '@tyrum/outbox';
import { storedEvents } from '@tyrum/outbox/testing';
import type { Reader, StateStore } from '@tyrum/statestore';
import type { DeadLetterRow, QueueRow, StepRow, TurnRow, WaitRow } from '@tyrum/statestore/turns';
import { CONVERSATIONS } from './model-turns';

const all = (table: string, order: string) => {
  const text = `select * from ${table} order by ${order}`;
  return { name: `all-${table}`, postgres: text, sqlite: text };
};
const listTurns = all('turn', 'created_at');
const listSteps = all('step', 'turn_id, step_index');
const listQueues = all('conversation_queue', 'conversation_key');
const listDead = all('dead_letter', 'turn_id');
const listWaits = all('wait', 'wait_id');

/** All that lies in the database about turns, with small numbers for their ids, in the shape in which the model shows it. */
export async function readTurnState(store: StateStore, names: ReadonlyMap<string, number>): Promise<object> {
  const name = (turnId: string | null): number | null => (turnId === null ? null : (names.get(turnId) ?? -1));
  return store.read(async (db) => {
    const [steps, dead, waits, events] = [
      await db.query<StepRow>(listSteps),
      await db.query<DeadLetterRow>(listDead),
      await db.query<WaitRow>(listWaits),
      await storedEvents(db),
    ];
    const turns = (await db.query<TurnRow>(listTurns)).sort(
      (a, b) => (names.get(a.turn_id) ?? 0) - (names.get(b.turn_id) ?? 0),
    );
    // A child is waited for under its id.
    const waitName = (id: string | null) => (id !== null && names.has(id) ? `turn ${name(id)}` : id);
    const letter = (turnId: string) => dead.find((one) => one.turn_id === turnId);
    return {
      conversations: await readConversations(db, events, name),
      turns: turns.map((turn) => ({
        name: name(turn.turn_id),
        status: turn.status,
        attempt: turn.attempt,
        steps: steps.filter((step) => step.turn_id === turn.turn_id).map(toStep),
        wait: turn.wait_kind
          ? `${turn.wait_kind} ${turn.wait_kind === 'signal' || turn.wait_kind === 'turn' ? waitName(turn.wait_id) : ''}`
          : undefined,
        cancelRequested: turn.cancel_requested_at !== null,
        delivered: turn.delivered_to === null ? null : [name(turn.delivered_to), turn.delivered_step],
        origin: name(turn.origin_turn_id),
        dead: toDead(letter(turn.turn_id), name),
      })),
      arrivals: waits
        .map((wait) => ({ id: waitName(wait.wait_id) ?? '', waiter: name(wait.turn_id), arrived: succeeded(wait) }))
        .sort((a, b) => a.id.localeCompare(b.id)),
    };
  });
}

async function readConversations(
  db: Reader,
  events: readonly OutboxEvent[],
  name: (turnId: string | null) => number | null,
): Promise<object[]> {
  const rows = await db.query<QueueRow>(listQueues);
  return CONVERSATIONS.map((key) => {
    const row = rows.find(({ conversation_key }) => conversation_key === key);
    if (!row) throw new Error(`${key} is there from the beginning`);
    const mine = events.filter(({ conversationKey }) => conversationKey === key);
    // Numbered without a gap, and the next number is the one behind the last.
    expect(mine.map(({ conversationSeq }) => conversationSeq)).toEqual(mine.map((_, i) => i + 1));
    expect(row.last_event_seq).toBe(mine.length);
    return {
      key,
      state: row.state,
      owner: row.lease_owner,
      token: row.lease_token,
      takeovers: row.takeovers,
      mode: row.queue_mode,
      cap: row.queue_cap,
      overflow: row.queue_overflow,
      due: row.due_at === null ? null : row.due_at <= Date.now(),
      pending: row.pending,
      events: mine.filter(({ type }) => isOfCourse(type)).map(({ type, turnId }) => `${name(turnId ?? null)} ${type}`),
    };
  });
}

/** What a turn's course is told by; how many events there are of its steps depends on how quick they were. */
function isOfCourse(type: string): boolean {
  return type.startsWith('turn.');
}

function toStep({ action, status, attempts }: StepRow): string {
  const { type, args } = JSON.parse(action) as { type: string; args: { cmd?: string } };
  return `${type === 'CLI' ? args.cmd : 'model'} ${status} ${attempts}`;
}

function toDead(letter: DeadLetterRow | undefined, name: (turnId: string | null) => number | null): object | null {
  return letter ? { attempts: letter.attempts, redrivenAs: name(letter.redriven_as) } : null;
}

function succeeded({ outcome }: WaitRow): boolean | null {
  return outcome === null ? null : (JSON.parse(outcome) as { kind: string }).kind === 'succeeded';
}
